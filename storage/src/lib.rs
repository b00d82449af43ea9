//! curia-storage.
