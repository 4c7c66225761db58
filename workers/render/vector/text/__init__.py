"""Text of drawings: fonts, glyphs and paragraphs."""
