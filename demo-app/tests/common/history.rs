//! Writers that remember what was acknowledged to them, and what must be there in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::{Home, text_of};

/// What one writer knows of its writes.
#[derive(Debug, Default)]
pub struct Written {
    pub acknowledged: u32,
    up: i64,
    down: i64,
    up_in_doubt: i64,
    down_in_doubt: i64,
    added: BTreeSet<String>,
    removed: BTreeSet<String>,
    /// What was added or removed without an answer.
    in_doubt: BTreeSet<String>,
    /// What this writer's own keys may hold: the last acknowledged value, and all that were in doubt since.
    own: BTreeMap<String, BTreeSet<String>>,
}

/// What a writer heeds while it writes.
#[derive(Debug, Default)]
pub struct Gate {
    /// Held during a write. Who takes it finds nobody writing to this home.
    pub writing: Mutex<()>,
    /// How often the home was set back. What was written before, its node need not know any more.
    pub lives: AtomicU32,
}

/// How a write ended.
#[derive(Debug, PartialEq)]
enum Fate {
    Done(Value),
    /// It failed, and did not happen.
    Refused,
    /// The node was killed before it answered.
    InDoubt,
}

fn write(home: &Home, arguments: &[&str]) -> Fate {
    let ended = home.run(&[&["--json", "--wait", "5"], arguments].concat());
    if ended.code == Some(0) {
        return Fate::Done(serde_json::from_str(&ended.stdout).unwrap());
    }
    let error: Value =
        serde_json::from_str(&ended.stderr).unwrap_or_else(|_| panic!("{arguments:?}: {ended:?}"));
    match text_of(&error["error"]["code"]) {
        "in_doubt" => Fate::InDoubt,
        "locked" => Fate::Refused,
        other => panic!("{arguments:?} must not fail with {other}: {error}"),
    }
}

/// Writes at random until it is over.
pub fn work(home: &Home, me: usize, seed: u64, gate: &Gate, over: &AtomicBool) -> Written {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (me as u64 + 1));
    let mut written = Written::default();
    for n in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let one = gate.writing.lock().unwrap();
        let amount: i64 = rng.random_range(1..=9);
        let key = format!("key-{me}-{}", gate.lives.load(Ordering::Relaxed));
        let fate = match rng.random_range(0..5) {
            0 => written.up(home, amount),
            1 => written.down(home, amount),
            2 => written.add(home, format!("{me}-{n}")),
            3 if !written.added.is_empty() => {
                let chosen = rng.random_range(0..written.added.len());
                let element = written.added.iter().nth(chosen).cloned().unwrap();
                written.remove(home, element)
            }
            _ => written.put(home, key, format!("{me}-{n}")),
        };
        written.acknowledged += u32::from(matches!(fate, Fate::Done(_)));
        drop(one);
        std::thread::sleep(Duration::from_millis(rng.random_range(0..60)));
    }
    written
}

impl Written {
    fn up(&mut self, home: &Home, amount: i64) -> Fate {
        let fate = write(home, &["counter", "inc", "up", &amount.to_string()]);
        match fate {
            Fate::Done(_) => self.up += amount,
            Fate::InDoubt => self.up_in_doubt += amount,
            Fate::Refused => {}
        }
        fate
    }

    fn down(&mut self, home: &Home, amount: i64) -> Fate {
        let fate = write(home, &["counter", "dec", "board/down", &amount.to_string()]);
        match fate {
            Fate::Done(_) => self.down += amount,
            Fate::InDoubt => self.down_in_doubt += amount,
            Fate::Refused => {}
        }
        fate
    }

    fn add(&mut self, home: &Home, element: String) -> Fate {
        let fate = write(home, &["set", "add", "labels", &element]);
        match fate {
            Fate::Done(_) => drop(self.added.insert(element)),
            Fate::InDoubt => drop(self.in_doubt.insert(element)),
            Fate::Refused => {}
        }
        fate
    }

    fn remove(&mut self, home: &Home, element: String) -> Fate {
        let fate = write(home, &["set", "remove", "labels", &element]);
        match &fate {
            Fate::Done(answer) if answer["removed"] == true => {
                self.added.remove(&element);
                self.removed.insert(element);
            }
            Fate::InDoubt => {
                self.added.remove(&element);
                self.in_doubt.insert(element);
            }
            // A home that was set back need not know it yet.
            Fate::Done(_) | Fate::Refused => {}
        }
        fate
    }

    fn put(&mut self, home: &Home, key: String, value: String) -> Fate {
        let fate = write(home, &["map", "put", "board/keys", &key, &value]);
        if fate == Fate::Refused {
            return fate;
        }
        let own = self.own.entry(key).or_default();
        if matches!(fate, Fate::Done(_)) {
            own.clear();
        }
        own.insert(value);
        fate
    }
}

/// Checks that a home holds what was acknowledged to `all`, and nothing that nobody wrote or that was removed.
pub fn check(home: &Home, all: &[Written]) {
    let sum = |of: fn(&Written) -> i64| all.iter().map(of).sum::<i64>();
    let up = home.json(&["counter", "get", "up"])["value"].as_i64().unwrap();
    assert!((sum(|w| w.up)..=sum(|w| w.up + w.up_in_doubt)).contains(&up), "up is {up}: {all:?}");
    let down = -home.json(&["counter", "get", "board/down"])["value"].as_i64().unwrap();
    assert!((sum(|w| w.down)..=sum(|w| w.down + w.down_in_doubt)).contains(&down), "down is {down}: {all:?}");
    let labels: BTreeSet<String> = serde_json::from_value(home.json(&["set", "list", "labels"])).unwrap();
    let joined =
        |of: fn(&Written) -> &BTreeSet<String>| all.iter().flat_map(of).cloned().collect::<BTreeSet<_>>();
    let (added, removed, in_doubt) = (joined(|w| &w.added), joined(|w| &w.removed), joined(|w| &w.in_doubt));
    assert!(added.is_subset(&labels), "lost {:?}", added.difference(&labels));
    let back: Vec<_> = labels.intersection(&removed).collect();
    assert!(back.is_empty(), "removed and back: {back:?}");
    let extra: Vec<_> = labels.difference(&added).filter(|label| !in_doubt.contains(*label)).collect();
    assert!(extra.is_empty(), "nobody added {extra:?}");
    let keys = home.json(&["map", "list", "board/keys"]);
    for (key, own) in all.iter().flat_map(|written| &written.own) {
        let values: BTreeSet<String> =
            serde_json::from_value(keys[key]["values"].clone()).unwrap_or_default();
        // One writer has no conflicts with itself: one value, unless all its writes were in doubt.
        assert!(values.len() <= 1 && values.is_subset(own), "{key}: {values:?}, not {own:?}");
    }
}

/// Says how much was written.
pub fn summary(all: &[Written]) -> String {
    let sum = |of: fn(&Written) -> i64| all.iter().map(of).sum::<i64>();
    format!(
        "{} acknowledged writes, {} of them removals; in doubt: {} up, {} down",
        all.iter().map(|written| written.acknowledged).sum::<u32>(),
        all.iter().map(|written| written.removed.len()).sum::<usize>(),
        sum(|w| w.up_in_doubt),
        sum(|w| w.down_in_doubt)
    )
}
