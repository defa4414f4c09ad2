//! The child process: one workload in one system, told as JSON lines.

use std::process::ExitCode;

use crate::meter::{Event, Meter, Mode};
use crate::systems;
use crate::workloads::{self, Stop};

/// Does the work. A panic in a peer ends the process; the parent tells its message.
pub fn run(workload: &str, system: &str, counted: bool) -> ExitCode {
    let (Some(workload), Some(system)) = (workloads::named(workload), systems::named(system)) else {
        eprintln!("no such workload or system");
        return ExitCode::FAILURE;
    };
    let mode = if counted { Mode::Counted } else { Mode::Timed };
    let mut meter = Meter::new(mode, system.plain_len());
    match (workload.run)(system, &mut meter) {
        Ok(()) => {}
        Err(Stop::Na(why)) => meter.na("all", why),
        Err(Stop::Wrong(what)) => Event::Wrong { what }.tell(),
    }
    Event::Done.tell();
    ExitCode::SUCCESS
}
