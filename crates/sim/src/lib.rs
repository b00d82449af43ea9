//! curia-sim.
