//! curia-consensus.
