"""Reading DXF files: tags and documents."""
