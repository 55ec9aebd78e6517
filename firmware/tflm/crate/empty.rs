// Cargo wants a target; there is none to build.
