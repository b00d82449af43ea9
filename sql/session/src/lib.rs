//! curia-session.
