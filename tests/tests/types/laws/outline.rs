//! The same laws for structs of what has an order: texts, lists, movable lists and trees, beside one another and below one another.

use super::*;

/// All that has an order, by itself, below keys, and with more of it within.
#[derive(Crdt)]
struct Outline {
    body: Text,
    items: List<String>,
    steps: MovableList<MvRegister<u8>>,
    parts: Tree<MvRegister<u8>>,
    notes: AddWinsMap<u8, Section>,
    pages: MovableList<Section>,
}

#[derive(Crdt)]
struct Section {
    heading: Text,
    rows: List<String>,
    order: MovableList<MvRegister<u8>>,
    under: Tree<MvRegister<u8>>,
}

#[derive(Debug, Clone)]
enum SectionOp {
    Heading(TextOp),
    Rows(TextOp),
    Order(PlacedOp),
    Under(PlacedOp),
}

#[derive(Debug, Clone)]
enum OutlineOp {
    Top(SectionOp),
    Notes(MapOp<SectionOp>),
    /// Which page, and what is written there, if it is not moved or deleted.
    Pages(PlacedOp, SectionOp),
}

fn section_op() -> impl Strategy<Value = SectionOp> + Clone {
    prop_oneof![
        text_op().prop_map(SectionOp::Heading),
        text_op().prop_map(SectionOp::Rows),
        placed_op().prop_map(SectionOp::Order),
        placed_op().prop_map(SectionOp::Under),
    ]
}

fn outline_op() -> impl Strategy<Value = OutlineOp> + Clone {
    prop_oneof![
        4 => section_op().prop_map(OutlineOp::Top),
        3 => map_op(section_op()).prop_map(OutlineOp::Notes),
        2 => (placed_op(), section_op()).prop_map(|(page, op)| OutlineOp::Pages(page, op)),
    ]
}

fn on_section(section: &mut SectionMut<'_>, op: &SectionOp) {
    match op {
        SectionOp::Heading(op) => on_text(&mut section.heading(), op),
        SectionOp::Rows(op) => on_list(&mut section.rows(), op),
        SectionOp::Order(op) => on_movable(&mut section.order(), op),
        SectionOp::Under(op) => on_tree(&mut section.under(), op),
    }
}

fn on_pages(pages: &mut Mut<'_, MovableList<Section>>, page: &PlacedOp, op: &SectionOp) {
    let len = pages.len();
    match page {
        PlacedOp::Make(_, at, _) => {
            on_section(&mut pages.insert(usize::from(*at) % (len + 1)).expect("there is such a place"), op);
        }
        _ if len == 0 => {}
        PlacedOp::Move(from, _, to) => {
            pages.move_to(usize::from(*from) % len, usize::from(*to) % len).expect("there are such pages");
        }
        PlacedOp::Delete(at) => pages.remove(usize::from(*at) % len).expect("there is such a page"),
        PlacedOp::Clear => pages.clear(),
        PlacedOp::Write(at, _) | PlacedOp::MoveMany(at, ..) | PlacedOp::Restore(at) | PlacedOp::Purge(at) => {
            on_section(&mut pages.at(usize::from(*at) % len).expect("there is such a page"), op);
        }
    }
}

fn on_outline(outline: &mut OutlineMut<'_>, op: &OutlineOp) {
    match op {
        OutlineOp::Top(SectionOp::Heading(op)) => on_text(&mut outline.body(), op),
        OutlineOp::Top(SectionOp::Rows(op)) => on_list(&mut outline.items(), op),
        OutlineOp::Top(SectionOp::Order(op)) => on_movable(&mut outline.steps(), op),
        OutlineOp::Top(SectionOp::Under(op)) => on_tree(&mut outline.parts(), op),
        OutlineOp::Notes(op) => on_map(&mut outline.notes(), op, on_section),
        OutlineOp::Pages(page, op) => on_pages(&mut outline.pages(), page, op),
    }
}

laws!(derived_struct_of_ordered_fields, Outline, outline_op(), on_outline);
