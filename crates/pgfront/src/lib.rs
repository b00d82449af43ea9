//! curia-pgfront.
