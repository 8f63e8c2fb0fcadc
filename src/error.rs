//! One error enum a layer, wrapped here; the exit status and the hint are pure functions of it.
