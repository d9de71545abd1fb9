//! Objects, played by applying changes.
