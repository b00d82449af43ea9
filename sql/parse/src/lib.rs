//! curia-parse.
