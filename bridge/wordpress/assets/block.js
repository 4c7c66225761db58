// The block in the editor: selects a drawing from the media library and its height. PHP renders the block in the post.
(() => {
  "use strict";
  const { blocks, element, blockEditor, components } = window.wp;
  const h = element.createElement;

  function edit({ attributes, setAttributes }) {
    const { id, height } = attributes;
    const selectButton = h(blockEditor.MediaUpload, {
      onSelect: (selected) => setAttributes({ id: selected.id }),
      value: id,
      render: ({ open }) => h(components.Button, { variant: "secondary", onClick: open }, id ? "Replace drawing" : "Select drawing"),
    });
    const heightControl = h(components.TextControl, {
      label: "Height (pixels)",
      type: "number",
      value: height ?? "",
      onChange: (value) => setAttributes({ height: parseInt(value, 10) || undefined }),
    });
    const preview = id && h("img", { src: `${window.ajaxurl}?action=bulkhead_preview&drawing=${id}`, alt: "Drawing", style: { maxWidth: "100%" } });
    return h(
      "div",
      blockEditor.useBlockProps(),
      h(blockEditor.InspectorControls, {}, h(components.PanelBody, {}, heightControl)),
      h(components.Placeholder, { label: "Drawing" }, preview, selectButton),
    );
  }

  blocks.registerBlockType("bulkhead/drawing", {
    apiVersion: 2,
    title: "Drawing",
    description: "A drawing from the media library, with its layers.",
    category: "media",
    icon: "layout",
    attributes: { id: { type: "integer" }, height: { type: "integer" } },
    edit,
    save: () => null,
  });
})();
