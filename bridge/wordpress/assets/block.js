// The block in the editor: choose a drawing of the media library, and how high it is shown. PHP draws it in the post.
(() => {
  "use strict";
  const { blocks, element, blockEditor, components } = window.wp;
  const h = element.createElement;

  function edit({ attributes, setAttributes }) {
    const { id, height } = attributes;
    const choose = h(blockEditor.MediaUpload, {
      onSelect: (chosen) => setAttributes({ id: chosen.id }),
      value: id,
      render: ({ open }) => h(components.Button, { variant: "secondary", onClick: open }, id ? "Another drawing" : "Choose a drawing"),
    });
    const pixels = h(components.TextControl, {
      label: "Height in pixels",
      type: "number",
      value: height ?? "",
      onChange: (value) => setAttributes({ height: parseInt(value, 10) || undefined }),
    });
    const shown = id && h("img", { src: `${window.ajaxurl}?action=bulkhead_preview&drawing=${id}`, alt: "Drawing", style: { maxWidth: "100%" } });
    return h(
      "div",
      blockEditor.useBlockProps(),
      h(blockEditor.InspectorControls, {}, h(components.PanelBody, {}, pixels)),
      h(components.Placeholder, { label: "Drawing" }, shown, choose),
    );
  }

  blocks.registerBlockType("bulkhead/drawing", {
    apiVersion: 2,
    title: "Drawing",
    description: "A drawing of the media library, layer by layer.",
    category: "media",
    icon: "layout",
    attributes: { id: { type: "integer" }, height: { type: "integer" } },
    edit,
    save: () => null,
  });
})();
