"""Who may do what: tokens, signed links, access to outputs."""
