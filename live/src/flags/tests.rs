//! Names, values and units, one by one.
