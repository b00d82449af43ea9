//! curia-driver.
