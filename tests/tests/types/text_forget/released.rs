//! Who was released: the others forget without it, and it comes back with what it wrote alone, which may hang on what is gone.

use super::*;

/// Who is released.
const AWAY: usize = 1;

/// Writes of one of these, and what they hear of one another, with forgetting.
fn among(members: &'static [usize], forget: u32) -> impl Strategy<Value = Step> {
    let who = || prop::sample::select(members);
    prop_oneof![
        6 => (who(), 0..40_usize, 1..4_usize).prop_map(|(by, at, count)| Step::Insert(by, at, count)),
        5 => (who(), 0..40_usize, 1..12_usize).prop_map(|(by, at, count)| Step::Delete(by, at, count)),
        8 => (who(), who(), 1..5_usize).prop_map(|(by, of, count)| Step::Hear(by, of, count)),
        forget => who().prop_map(Step::Sweep),
    ]
}

fn letter(number: u32) -> char {
    char::from_u32(0x4e00 + number).unwrap()
}

/// What is written and forgotten while one is away, and after that.
struct Story {
    world: World<Text>,
    /// Letters that the one who was away wrote alone, or anybody since it came back.
    alone: BTreeSet<char>,
    /// What was read right before what, but for those letters.
    order: BTreeSet<(char, char)>,
}

impl Story {
    /// What the two know who are still members.
    fn stable(&self, at: usize) -> Version {
        let here = self.world.replicas[at].version();
        let told = |past: &Vec<Version>| past.iter().rev().find(|version| here.dominates(version)).cloned();
        let members = (0..3).filter(|member| *member != AWAY);
        let told = members.map(|member| told(&self.world.past[member]).unwrap_or_default());
        told.reduce(|all, one| all.meet(&one)).unwrap()
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Sweep(by) if *by != AWAY => {
                let before = read(&self.world.replicas[*by]);
                let stable = self.stable(*by);
                let delta = self.world.replicas[*by].sweep(&stable);
                assert_eq!(read(&self.world.replicas[*by]), before, "forgetting is seen by who forgets");
                self.world.wrote(*by, delta, true);
            }
            Step::Sweep(_) => {}
            // Whoever hears of somebody else's forgetting may see it, if what was released was heard before.
            Step::Hear(by, of, count) => {
                for _ in 0..*count {
                    let next = self.world.heard[*by][*of];
                    let Some(delta) = self.world.written[*of].get(next).cloned() else { break };
                    if !self.world.replicas[*by].version().dominates(&delta.deps()) {
                        break;
                    }
                    self.world.replicas[*by].merge(delta).unwrap();
                    self.world.heard[*by][*of] += 1;
                    self.world.note(*by);
                }
            }
            other => self.world.step(other),
        }
        for replica in &self.world.replicas {
            let text: Vec<char> =
                replica.to_string().chars().filter(|letter| !self.alone.contains(letter)).collect();
            self.order.extend(text.windows(2).map(|pair| (pair[0], pair[1])));
        }
    }

    fn meet(&mut self) {
        while (0..9).any(|n| self.world.heard[n / 3][n % 3] < self.world.written[n % 3].len()) {
            (0..9).for_each(|n| self.step(&Step::Hear(n / 3, n % 3, usize::MAX)));
        }
    }
}

proptest! {
    #![proptest_config(cases(256))]

    /// Nothing that it wrote is lost, nothing that was deleted is back, all read the same in whatever order they hear of what, and what was there
    /// stays where it is.
    #[test]
    fn scenario_13_who_was_released_comes_back_to_one_order_with_all_it_wrote(
        together in prop::collection::vec(among(&[0, 1, 2], 0), 1..30),
        apart in prop::collection::vec(prop_oneof![
            3 => among(&[0, 2], 4),
            1 => among(&[AWAY], 0),
        ], 1..60),
        back in prop::collection::vec(among(&[0, 1, 2], 2), 0..30),
    ) {
        let mut story = Story { world: World::new(), alone: BTreeSet::new(), order: BTreeSet::new() };
        together.iter().for_each(|step| story.step(step));
        story.meet();
        let mut deleted: BTreeSet<char> = BTreeSet::new();
        let mut act = |story: &mut Story, step: &Step| {
            let letters = |story: &Story, by: usize| -> BTreeSet<char> { story.world.replicas[by].to_string().chars().collect() };
            if let Step::Delete(by, ..) = step {
                let before = letters(story, *by);
                story.step(step);
                deleted.extend(before.difference(&letters(story, *by)));
            } else {
                story.step(step);
            }
        };
        let before = story.world.letters;
        let there: BTreeSet<char> = story.world.replicas[0].to_string().chars().collect();
        apart.iter().for_each(|step| {
            let letters = story.world.letters;
            if let Step::Insert(AWAY, _, count) = step {
                story.alone.extend((letters..letters + *count as u32).map(letter));
            }
            act(&mut story, step);
        });
        // What the others wrote meanwhile stays where it is as well, but not what anybody writes from now on.
        back.iter().for_each(|step| {
            let letters = story.world.letters;
            if let Step::Insert(_, _, count) = step {
                story.alone.extend((letters..letters + *count as u32).map(letter));
            }
            act(&mut story, step);
        });
        story.meet();
        let world = &story.world;
        let texts: Vec<String> = world.replicas.iter().map(|replica| replica.to_string()).collect();
        prop_assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
        let bytes: Vec<_> = world.replicas.iter().map(Replica::encode).collect();
        prop_assert!(bytes.iter().all(|other| *other == bytes[0]));
        let again = Replica::<Text>::decode(id(9), &bytes[0], &Limits::default()).unwrap();
        prop_assert_eq!(again.to_string(), &texts[0][..]);
        let all: BTreeSet<char> = texts[0].chars().collect();
        prop_assert_eq!(all.len(), texts[0].chars().count());
        let written = (before..world.letters).map(letter);
        let expected: BTreeSet<char> =
            there.into_iter().chain(written).filter(|letter| !deleted.contains(letter)).collect();
        prop_assert_eq!(all, expected);
        prop_assert!(is_in_order(&story.order), "what was there moved");
    }
}
