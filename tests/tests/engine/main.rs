//! The engine of `tombolo-sync`, and whole networks of it in one process.

mod between_two;
mod clones;
mod compare;
mod concern;
mod costs;
mod direct;
mod disk;
mod forget;
mod forks;
mod gates;
mod hostile;
mod large;
mod lazy;
mod links;
mod lost_lines;
mod pieces;
mod prefix;
mod scenarios;
mod simulation;
mod text;
mod watch;
