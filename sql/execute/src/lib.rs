//! curia-execute.
