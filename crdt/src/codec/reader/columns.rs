//! Reads the columns of a message, and puts the tree together.

use alloc::vec::Vec;

use smallvec::SmallVec;

use super::{Children, Reader};
use crate::causal::{LocalDot, ReplicaIndex};
use crate::codec::DecodeError;
use crate::codec::packed::Expected;
use crate::codec::planes::{self, Heads, Longer};
use crate::codec::writer::{Lengths, Shared, head, shape};
use crate::delta::{Bytes, Counted, DeltaTree, Parts, Run, Said};
use crate::store::MAX_DEPTH;

/// What a node takes: in a tree, and while it is read. Lists may have grown to twice what they hold.
const NODE_BYTES: usize = 2 * (16 + size_of::<Shape>() + 24);
/// What a carried dot takes if it is a span of its own: in a tree, while it is read as a run of dots and one of lengths, and at the door,
/// where all are listed and joined to a context. If it is not, then what it takes where each is kept by itself.
const ITEM_BYTES: usize = 2 * (16 + 16 + 16 + 4);
/// What a run that is covered takes: in a tree, while it is read, and in the context of all that the door checks.
const COVER_BYTES: usize = 2 * (16 + 16 + 16);

/// What a node says of itself.
#[derive(Debug, Clone, Copy)]
struct Shape {
    carried: u32,
    covers: u32,
    children: u32,
    /// How long its content is, if it says so itself.
    content: Option<u32>,
}

/// Of keys: how much each shares with the one before, and how long its own part is.
type KeyLengths = SmallVec<[(u32, u32); 4]>;

impl<'b> Reader<'b> {
    pub(super) fn columns(
        &mut self,
        parts: &mut Parts,
        used: &mut [bool],
        order: Children,
    ) -> Result<(), DecodeError> {
        let flags = self.take(1)?[0];
        let unknown = flags & !self.features();
        if unknown != 0 {
            return Err(DecodeError::Feature { bits: unknown });
        }
        let start = (self.at, self.memory);
        if let Some(event) = self.one(flags, used.len(), &mut parts.tree) {
            used[0] = true;
            parts.events.push(Run { replica: 0, first: event, last: event });
            return Ok(());
        }
        // It is something else, or wrong: then what follows says how.
        (self.at, self.memory) = start;
        self.events(parts, flags, used)?;
        if flags & head::DEPS != 0 {
            self.deps(parts, used)?;
        }
        let shapes = self.shapes()?;
        let carried = shapes.iter().map(|shape| u64::from(shape.carried)).sum();
        let dots = self.dots(carried, flags, &parts.events, used)?;
        let covers = self.covers(&shapes, &parts.events, used)?;
        let (key_lengths, own) = self.key_lengths(shapes.len() - 1, flags)?;
        let lengths = self.lengths(&shapes, flags)?;
        let keys = self.take(own)?;
        let contents = self.take(self.left())?;
        self.spend(2 * contents.len())?;
        let mut columns = Columns {
            shapes: &shapes,
            dots: &dots,
            covers: &covers,
            key_lengths: &key_lengths,
            lengths: lengths.runs(),
            keys,
            contents,
        };
        let plain;
        if flags & (head::PLANES | head::HEADS) != 0 {
            // Beside what it is read from, until it is read; and once more what is told by heads.
            let beside = if flags & head::HEADS == 0 { contents.len() } else { 2 * contents.len() };
            self.spend(beside)?;
            let by_head = flags & head::HEADS != 0;
            plain = columns.plain(by_head).ok_or_else(|| self.malformed("contents told by planes"))?;
            columns.contents = &plain;
            self.memory += beside;
        }
        let judged = match self.format {
            Some(..4) => 0,
            Some(4) => head::PLANES,
            Some(_) => head::PLANES | head::HEADS,
            // Of what format it is, its bits say.
            None if flags & head::HEADS != 0 => head::PLANES | head::HEADS,
            None => flags & head::PLANES,
        };
        if judged != 0 && columns.due(carried) & judged != flags & judged {
            return Err(self.malformed("contents told by planes, where that pays and nowhere else"));
        }
        let (tree, shared) = columns.tree(order).map_err(|expected| self.malformed(expected))?;
        parts.tree = tree;
        if !are_told_so(&shared, &key_lengths, flags) {
            return Err(self.malformed("keys told by all that they share, where that pays"));
        }
        Ok(())
    }

    /// One event of the first replica that says something of one place alone, and what it says, put into `tree`: a key pressed. Of messages
    /// this is the most frequent by far. `None` if it is something else, or wrong.
    fn one(&mut self, flags: u8, replicas: usize, tree: &mut DeltaTree) -> Option<u64> {
        if flags & !(head::IN_ORDER | head::SHARED) != head::ONE || replicas == 0 {
            return None;
        }
        let event = self.counter().ok()?;
        let (mut told, mut depth) = (self.number("the shape of a node").ok()?, 0);
        while told == 1 << 2 | shape::CHILDREN && depth < MAX_DEPTH {
            self.spend(NODE_BYTES).ok()?;
            (told, depth) = (self.number("the shape of a node").ok()?, depth + 1);
        }
        let (length, covers) = match (told & 3, told >> 2, flags & head::IN_ORDER != 0) {
            (shape::ITEM, length, true) => (Some(length), false),
            (shape::ITEM_AND_COVER, length, true) => (Some(length), true),
            (shape::ANY, shape::COVERS, false) if self.number("how many runs").ok()? == 1 => (None, true),
            _ => return None,
        };
        let items = if length.is_some() { ITEM_BYTES } else { 0 };
        self.spend(NODE_BYTES + items + if covers { COVER_BYTES } else { 0 }).ok()?;
        let cover = if covers {
            let mut expected = Expected { row: 0, counter: event - 1 };
            let (replica, first, last, _) = self.run(&mut expected, &mut [false]).ok()?;
            Some((LocalDot::new(replica, first).bits(), LocalDot::new(replica, last).bits()))
        } else {
            None
        };
        let (mut keys, mut ends) = (Bytes::new(), SmallVec::<[u32; 4]>::new());
        if depth > 0 {
            let (lengths, own) = self.key_lengths(depth, flags).ok()?;
            let mut told = Keys::new(self.take(own).ok()?, &lengths);
            for nth in 0..depth {
                told.next(nth);
                ends.push(told.end);
            }
            if !are_told_so(&told.shared, &lengths, flags) {
                return None;
            }
            keys = Bytes::from_vec(told.all);
        } else if flags & head::SHARED != 0 {
            return None;
        }
        let content = self.take(self.left()).ok()?;
        if content.len() as u64 != length.unwrap_or(0) {
            return None;
        }
        self.spend(2 * content.len()).ok()?;
        let carried = length.map(|_| (LocalDot::new(0, event), content));
        tree.fill_path(keys, &ends, Said { carried, cover });
        Some(event)
    }

    /// How much of each key of so many is shared with the one before, and how long what is left is; and how long that is in all.
    fn key_lengths(&mut self, keys: usize, flags: u8) -> Result<(KeyLengths, usize), DecodeError> {
        let mut lengths = KeyLengths::with_capacity(keys);
        let (mut previous, mut sum, mut all_own) = (0, 0, 0);
        for _ in 0..keys {
            let shared = if flags & head::SHARED == 0 { 0 } else { self.number("how much keys share")? };
            let own = self.count("the length of a key")?;
            if shared > previous as u64 {
                return Err(self.malformed("no more shared than there is"));
            }
            previous = shared as usize + own;
            self.spend(2 * previous)?;
            sum += previous as u64;
            all_own += own;
            lengths.push((shared as u32, own as u32));
        }
        if sum > u64::from(u32::MAX) {
            return Err(DecodeError::Limit { what: "bytes", limit: u32::MAX as usize });
        }
        Ok((lengths, all_own))
    }

    fn events(&mut self, parts: &mut Parts, flags: u8, used: &mut [bool]) -> Result<(), DecodeError> {
        if flags & head::ONE != 0 {
            let replica = self.row(0, used.len())?;
            let first = self.counter()?;
            used[0] = true;
            parts.events.push(Run { replica, first, last: first });
            return Ok(());
        }
        let runs = self.count("how many runs of events")?;
        // As runs, and once more as a context where the message is a state.
        self.spend(runs.saturating_mul(4 * size_of::<Run>()))?;
        for _ in 0..runs {
            let row = self.number("a row of the replica table")?;
            let replica = self.row(row, used.len())?;
            let first = self.counter()?;
            let last = self.last(first)?;
            // Ascending, and with a gap between: there is one way to write a set of dots.
            let in_order =
                |run: &Run| replica > run.replica || (replica == run.replica && first > run.last + 1);
            if !parts.events.last().is_none_or(in_order) || (runs == 1 && replica == 0 && first == last) {
                return Err(self.malformed("runs of events in ascending order"));
            }
            used[replica as usize] = true;
            parts.events.push(Run { replica, first, last });
        }
        Ok(())
    }

    fn deps(&mut self, parts: &mut Parts, used: &mut [bool]) -> Result<(), DecodeError> {
        let deps = self.count("how many dependencies")?;
        if deps == 0 {
            return Err(self.malformed("a dependency"));
        }
        self.spend(deps * 2 * size_of::<(ReplicaIndex, u64)>())?;
        for _ in 0..deps {
            let row = self.number("a row of the replica table")?;
            let row = self.row(row, used.len())?;
            if parts.deps.last().is_some_and(|&(last, _)| last >= row) {
                return Err(self.malformed("dependencies in ascending order"));
            }
            used[row as usize] = true;
            let counter = self.counter()?;
            parts.deps.push((row, counter));
        }
        Ok(())
    }

    /// What the nodes say of themselves, in pre-order.
    fn shapes(&mut self) -> Result<SmallVec<[Shape; 4]>, DecodeError> {
        let mut shapes = SmallVec::new();
        // How many children are still to come, at each depth.
        let mut open: SmallVec<[u32; 8]> = SmallVec::new();
        loop {
            let shape = self.shape(shapes.is_empty())?;
            let carried = (shape.carried as usize).saturating_mul(ITEM_BYTES);
            let covered = (shape.covers as usize).saturating_mul(COVER_BYTES);
            self.spend(NODE_BYTES.saturating_add(carried).saturating_add(covered))?;
            shapes.push(shape);
            if shape.children > 0 {
                if open.len() == MAX_DEPTH {
                    return Err(DecodeError::Limit { what: "nesting", limit: MAX_DEPTH });
                }
                open.push(shape.children);
            } else {
                while let Some(children) = open.last_mut() {
                    *children -= 1;
                    if *children > 0 {
                        break;
                    }
                    open.pop();
                }
            }
            if open.is_empty() {
                return Ok(shapes);
            }
        }
    }

    fn shape(&mut self, is_root: bool) -> Result<Shape, DecodeError> {
        let told = self.number("the shape of a node")?;
        let (kind, above) = (told & 3, told >> 2);
        let small = |reader: &Self, number: u64| {
            if number > reader.bytes.len() as u64 { Err(DecodeError::Length) } else { Ok(number as u32) }
        };
        let mut shape = Shape { carried: 0, covers: 0, children: 0, content: None };
        match kind {
            shape::ITEM | shape::ITEM_AND_COVER => {
                shape.carried = 1;
                shape.covers = u32::from(kind == shape::ITEM_AND_COVER);
                shape.content = Some(small(self, above)?);
            }
            shape::CHILDREN => {
                shape.children = small(self, above)?;
                if shape.children == 0 && !is_root {
                    return Err(self.malformed("a node that says something"));
                }
            }
            _ => {
                if above == 0 || above > 7 {
                    return Err(self.malformed("the shape of a node"));
                }
                for (which, count) in [
                    (shape::CARRIES, &mut shape.carried),
                    (shape::COVERS, &mut shape.covers),
                    (shape::HAS_CHILDREN, &mut shape.children),
                ] {
                    if above & which != 0 {
                        *count = self.count("how many there are")? as u32;
                        if *count == 0 {
                            return Err(self.malformed("the shape of a node in its shortest form"));
                        }
                    }
                }
                if matches!((shape.carried, shape.covers, shape.children), (1, 0 | 1, 0) | (0, 0, _)) {
                    return Err(self.malformed("the shape of a node in its shortest form"));
                }
            }
        }
        Ok(shape)
    }

    /// The lengths of contents whose shape does not say it.
    fn lengths(&mut self, shapes: &[Shape], flags: u8) -> Result<Lengths, DecodeError> {
        let in_runs = flags & head::RUNS != 0;
        let told = shapes.iter().filter(|shape| shape.content.is_none());
        let mut left: u64 = told.map(|shape| u64::from(shape.carried)).sum();
        let mut lengths = Lengths::default();
        while left > 0 {
            let told = self.number("the length of a content")?;
            let (length, is_run) = if in_runs { (told >> 1, told & 1 == 1) } else { (told, false) };
            let count = if is_run { self.number("how many are as long")?.saturating_add(2) } else { 1 };
            let goes_on = lengths.runs().last().is_some_and(|(last, _)| *last == length && length > 0);
            if count > left.min(u32::MAX.into()) || (in_runs && goes_on) || (is_run && length == 0) {
                return Err(self.malformed("lengths in the fewest runs"));
            }
            self.at_most_left(length)?;
            lengths.add(length, count as u32);
            left -= count;
        }
        // Who tells contents by planes tells lengths as runs, where that pays.
        let has_planes = flags & (head::PLANES | head::HEADS) != 0;
        let is_old = self.format.is_none_or(|format| format < 3) && !in_runs && !has_planes;
        if lengths.pays() != in_runs && !is_old {
            return Err(self.malformed("lengths told as runs, where that pays"));
        }
        Ok(lengths)
    }

    /// The carried dots, in the order of the nodes.
    fn dots(
        &mut self,
        carried: u64,
        flags: u8,
        events: &[Run],
        used: &mut [bool],
    ) -> Result<SmallVec<[(LocalDot, u64); 4]>, DecodeError> {
        let mut dots = SmallVec::new();
        let mut left = carried;
        let too_many = "as many dots as are carried";
        if flags & head::IN_ORDER != 0 {
            for run in events {
                let more = run.last - run.first;
                left = left.checked_sub(more + 1).ok_or_else(|| self.malformed(too_many))?;
                dots.push((LocalDot::new(run.replica, run.first), more + 1));
            }
            return if left == 0 { Ok(dots) } else { Err(self.malformed(too_many)) };
        }
        let mut expected = expected(events, 0);
        // As long as they are the same.
        let mut same = events.iter();
        let mut in_order = true;
        while left > 0 {
            let (replica, first, last, is_next) = self.run(&mut expected, used)?;
            if last - first >= left || (is_next && !dots.is_empty()) {
                return Err(self.malformed(too_many));
            }
            in_order &= same.next() == Some(&Run { replica, first, last });
            dots.push((LocalDot::new(replica, first), last - first + 1));
            left -= last - first + 1;
        }
        if in_order && same.next().is_none() {
            return Err(
                self.malformed("dots that are told because they are not those of the events in order")
            );
        }
        Ok(dots)
    }

    /// The runs that nodes cover, in the order of the nodes.
    fn covers(
        &mut self,
        shapes: &[Shape],
        events: &[Run],
        used: &mut [bool],
    ) -> Result<SmallVec<[(u64, u64); 1]>, DecodeError> {
        let count: usize = shapes.iter().map(|shape| shape.covers as usize).sum();
        let mut covers: SmallVec<[(u64, u64); 1]> = SmallVec::with_capacity(count);
        let mut expected = expected(events, 1);
        for shape in shapes {
            let start = covers.len();
            for _ in 0..shape.covers {
                let (replica, first, last, _) = self.run(&mut expected, used)?;
                let run = (LocalDot::new(replica, first).bits(), LocalDot::new(replica, last).bits());
                // Ascending, and with a gap between.
                if covers.len() > start && covers[covers.len() - 1].1 + 1 >= run.0 {
                    return Err(self.malformed("runs of dots in ascending order"));
                }
                covers.push(run);
            }
        }
        Ok(covers)
    }

    /// A run of dots: row, first, last, and whether it only goes on where the last one ended.
    fn run(
        &mut self,
        expected: &mut Expected,
        used: &mut [bool],
    ) -> Result<(ReplicaIndex, u64, u64, bool), DecodeError> {
        let told = self.number("a run of dots")?;
        let other = if told & 1 == 1 { Some(self.number("a row of the replica table")?) } else { None };
        let Some((row, first)) = expected.read(told, other) else {
            return Err(self.malformed("a dot"));
        };
        let replica = self.row(row, used.len())?;
        used[replica as usize] = true;
        let last = self.last(first)?;
        expected.counter = last + 1;
        Ok((replica, first, last, told == 0))
    }
}

/// What the first run of dots is expected to be.
fn expected(events: &[Run], before: u64) -> Expected {
    let (row, first) = events.first().map_or((0, 1), |run| (u64::from(run.replica), run.first));
    Expected { row, counter: first.saturating_sub(before) }
}

/// The columns of a tree, to be put together. There is as much in each as the shapes say, but for contents.
struct Columns<'b> {
    shapes: &'b [Shape],
    /// Runs of them: the first and how many.
    dots: &'b [(LocalDot, u64)],
    covers: &'b [(u64, u64)],
    key_lengths: &'b [(u32, u32)],
    /// Of contents whose shape does not say it.
    lengths: &'b [(u64, u32)],
    keys: &'b [u8],
    contents: &'b [u8],
}

/// The spans of nodes, one node after the other: where neither runs of dots nor of equal lengths end.
struct Cuts<'b> {
    dots: core::slice::Iter<'b, (LocalDot, u64)>,
    lengths: core::slice::Iter<'b, (u64, u32)>,
    /// What is left of the run of dots at hand, and of that of lengths.
    dot: (LocalDot, u64),
    length: (u64, u32),
}

impl Cuts<'_> {
    /// The spans of the next node: the first dot, how many there are, and how long each content is.
    #[inline]
    fn of(&mut self, shape: &Shape) -> impl Iterator<Item = (LocalDot, u32, u64)> {
        let (mut left, own) = (shape.carried, shape.content);
        core::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            if self.dot.1 == 0 {
                self.dot = *self.dots.next()?;
            }
            let (length, most) = match own {
                Some(length) => (u64::from(length), 1),
                None => {
                    if self.length.1 == 0 {
                        self.length = *self.lengths.next()?;
                    }
                    self.length
                }
            };
            let most = if length == 0 { 1 } else { most };
            let count = left.min(most).min(u32::try_from(self.dot.1).unwrap_or(u32::MAX));
            let first = self.dot.0;
            self.dot = (LocalDot::from_bits(first.bits() + u64::from(count)), self.dot.1 - u64::from(count));
            if own.is_none() {
                self.length.1 -= count;
            }
            left -= count;
            Some((first, count, length))
        })
    }
}

/// A node of which not all children have come.
struct Above {
    node: u32,
    left: u32,
    /// The first dot at or below it, so far, and that of the last child.
    first: Option<LocalDot>,
    last: Option<LocalDot>,
}

impl Columns<'_> {
    fn spans(&self) -> Cuts<'_> {
        let nothing = LocalDot::from_bits(0);
        Cuts { dots: self.dots.iter(), lengths: self.lengths.iter(), dot: (nothing, 0), length: (0, 0) }
    }

    /// How these contents, one after the other, are to be told: the bits of the head. `carried` is how many there are.
    fn due(&self, carried: u64) -> u8 {
        if carried < planes::LEAST || (self.contents.len() as u64) < 2 * planes::LEAST {
            return 0;
        }
        let (mut spans, mut rest, mut flags) = (self.spans(), self.contents, 0);
        let mut heads = Heads::default();
        let mut own: Vec<(u64, u32)> = Vec::new();
        for shape in self.shapes {
            own.clear();
            own.extend(spans.of(shape).map(|(_, count, length)| (length, count)));
            let in_planes = shape.carried > 1 && planes::pays(own.iter().copied());
            if in_planes {
                flags |= head::PLANES;
            }
            for &(length, count) in &own {
                let all = usize::try_from(length.saturating_mul(count.into())).unwrap_or(usize::MAX);
                // Who puts the tree together finds out that there is not as much.
                let Some((contents, behind)) = rest.split_at_checked(all) else { return flags };
                rest = behind;
                if !in_planes {
                    heads.add(length as usize, contents);
                }
            }
        }
        flags | if heads.pay() { head::HEADS } else { 0 }
    }

    /// The contents, of which some are told by planes, one after the other; `None` if there are not as many.
    fn plain(&self, by_head: bool) -> Option<Vec<u8>> {
        let mut rest = self.contents;
        let mut loose = Vec::new();
        if by_head {
            let mut runs: Vec<(u64, u32)> = Vec::new();
            let mut spans = self.spans();
            for shape in self.shapes {
                let start = runs.len();
                runs.extend(spans.of(shape).map(|(_, count, length)| (length, count)));
                if planes::pays(runs[start..].iter().copied()) {
                    runs.truncate(start);
                }
            }
            rest = planes::read(runs.iter().copied(), Longer::ByHead, rest, &mut loose)?;
        }
        let mut loose = &loose[..];
        let mut plain = Vec::with_capacity(self.contents.len());
        let mut spans = self.spans();
        let mut runs: Vec<(u64, u32)> = Vec::new();
        for shape in self.shapes {
            runs.clear();
            for (_, count, length) in spans.of(shape) {
                match runs.last_mut() {
                    Some((last, more)) if *last == length => *more += count,
                    _ => runs.push((length, count)),
                }
            }
            if planes::pays(runs.iter().copied()) {
                rest = planes::read(runs.iter().copied(), Longer::Whole, rest, &mut plain)?;
                continue;
            }
            let len = |&(length, count): &(u64, u32)| length.saturating_mul(count.into());
            let len = usize::try_from(runs.iter().map(len).fold(0, u64::saturating_add)).ok()?;
            let from = if by_head { &mut loose } else { &mut rest };
            let own;
            (own, *from) = from.split_at_checked(len)?;
            plain.extend_from_slice(own);
        }
        plain.extend_from_slice(rest);
        Some(plain)
    }

    /// Puts the tree together. An error says what was expected.
    fn tree(&self, order: Children) -> Result<(DeltaTree, Shared), &'static str> {
        let mut counting = self.spans();
        let spans = if self.shapes.iter().all(|shape| shape.carried <= 1) {
            self.shapes.iter().map(|shape| shape.carried as usize).sum()
        } else {
            self.shapes.iter().map(|shape| counting.of(shape).count()).sum()
        };
        let mut counted = Counted::new(self.shapes.len(), spans);
        let mut tree = counted.builder();
        let mut keys = Keys::new(self.keys, self.key_lengths);
        let mut spans = self.spans();
        let (mut content_end, mut cover_end) = (0, 0);
        let mut above: SmallVec<[Above; 8]> = SmallVec::new();
        for (nth, shape) in self.shapes.iter().enumerate() {
            if nth > 0 {
                keys.next(nth - 1);
            }
            cover_end += shape.covers;
            let mut first = None;
            let mut previous = None;
            for (dot, count, length) in spans.of(shape) {
                if previous.is_some_and(|previous| previous >= dot.bits()) {
                    return Err("carried dots in ascending order");
                }
                previous = Some(dot.bits() + u64::from(count) - 1);
                first = first.or(Some(dot));
                content_end = length.saturating_mul(count.into()).saturating_add(content_end);
                if content_end > self.contents.len() as u64 {
                    return Err("the content of a dot");
                }
                tree.carry(dot, count, content_end as u32);
            }
            let node = tree.node(keys.end, cover_end);
            if shape.children > 0 {
                above.push(Above { node, left: shape.children, first, last: None });
                continue;
            }
            let mut below = first;
            while let Some(parent) = above.last_mut() {
                if parent.last.is_none() {
                    parent.first = [parent.first, below].into_iter().flatten().min();
                } else if order == Children::ByDot && below <= parent.last {
                    return Err("children in the order of their first dots");
                }
                parent.last = below;
                parent.left -= 1;
                if parent.left > 0 {
                    break;
                }
                below = parent.first;
                tree.close(parent.node);
                above.pop();
            }
        }
        if content_end < self.contents.len() as u64 {
            return Err("the end of the message");
        }
        let (covers, contents) = (SmallVec::from_slice(self.covers), Bytes::from_slice(self.contents));
        Ok((counted.finish(Bytes::from_vec(keys.all), covers, contents), keys.shared))
    }
}

/// Whether keys are told by what they share where that pays and nowhere else, and then by all of it.
fn are_told_so(shared: &Shared, told: &[(u32, u32)], flags: u8) -> bool {
    let all = || shared.lengths.iter().eq(told.iter().map(|(shared, _)| shared));
    shared.pays() == (flags & head::SHARED != 0) && (!shared.pays() || all())
}

/// Keys, each told by what it shares with the one before.
struct Keys<'b> {
    own: &'b [u8],
    lengths: &'b [(u32, u32)],
    all: Vec<u8>,
    /// Where the last one begins and ends.
    start: u32,
    end: u32,
    /// What they share indeed.
    shared: Shared,
}

impl<'b> Keys<'b> {
    fn new(own: &'b [u8], lengths: &'b [(u32, u32)]) -> Self {
        let all = Vec::with_capacity(own.len());
        Self { own, lengths, all, start: 0, end: 0, shared: Shared::default() }
    }

    fn next(&mut self, nth: usize) {
        let (shared, own) = self.lengths[nth];
        let (key, rest) = self.own.split_at(own as usize);
        self.own = rest;
        let previous = &self.all[(self.start + shared) as usize..self.end as usize];
        let more = previous.iter().zip(key).take_while(|(a, b)| a == b).count();
        self.shared.add(shared as usize + more);
        let from = self.start as usize;
        self.all.extend_from_within(from..from + shared as usize);
        self.all.extend_from_slice(key);
        (self.start, self.end) = (self.end, self.all.len() as u32);
    }
}
