//! Measurements. Each bench is a program of its own; see README.md for the method.
