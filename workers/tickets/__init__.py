"""TLS ticket keys of a fleet of HAProxy edges: made here, kept in memory only, rotated without a dropped resumption."""
