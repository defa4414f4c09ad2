//! The signals that end a program which runs until it is told to stop.

use crate::failure::{Failure, Result};

/// Comes back when the process is told to stop. Signals count from the call on.
///
/// # Errors
/// When signals cannot be handled.
#[cfg(unix)]
pub fn stop() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    let on = |kind: SignalKind| -> Result<Signal> {
        signal(kind).map_err(|why| Failure::io("signals cannot be handled", &why))
    };
    // Not SIGHUP: a handler for it would undo `nohup`, and a write that was answered is durable anyway.
    let (mut terminate, mut interrupt) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// From now on, has the process go on when the terminal interrupts it and what it has started.
///
/// # Errors
/// When signals cannot be handled.
#[cfg(unix)]
pub fn outlive_interrupts() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    // Once there has been a handler the system's own is never back.
    signal(SignalKind::interrupt()).map(drop).map_err(|why| Failure::io("signals cannot be handled", &why))
}

/// Does nothing here.
///
/// # Errors
/// None here.
#[cfg(not(unix))]
pub fn outlive_interrupts() -> Result<()> {
    Ok(())
}

/// Comes back when the process is told to stop.
///
/// # Errors
/// None here.
#[cfg(not(unix))]
pub fn stop() -> Result<impl Future<Output = ()>> {
    Ok::<_, Failure>(async {
        // An error means that no signal will ever come.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
