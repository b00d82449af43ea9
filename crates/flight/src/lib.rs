//! curia-flight.
