//! curia-txn.
