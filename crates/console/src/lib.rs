//! curia-console.
