//! Reads the struct or enum that an application wrote, and says what is wrong with it.

use proc_macro2::{Span, TokenStream as Tokens};
use quote::{format_ident, quote};
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, Fields, GenericParam, Generics, Ident, Index, LitStr, Member,
    Result, Token, Type, TypeParamBound, Visibility,
};

/// What an application wrote.
pub(crate) enum Input {
    Struct(Schema),
    Enum(Choice),
}

/// A struct, or what one variant of an enum holds.
pub(crate) struct Schema {
    pub(crate) ident: Ident,
    pub(crate) visibility: Visibility,
    pub(crate) generics: Generics,
    /// The name under which peers know the type.
    pub(crate) type_name: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) is_tuple: bool,
}

/// An enum.
pub(crate) struct Choice {
    pub(crate) ident: Ident,
    pub(crate) visibility: Visibility,
    pub(crate) type_name: String,
    pub(crate) variants: Vec<Variant>,
}

/// One variant of it.
pub(crate) struct Variant {
    pub(crate) ident: Ident,
    /// What the method that writes into it is called.
    pub(crate) method: Ident,
    /// What the method that chooses it is called.
    pub(crate) choose: Ident,
    /// The name under which it travels.
    pub(crate) name: String,
    /// What it holds; `None` if that is nothing.
    pub(crate) content: Option<Schema>,
    pub(crate) docs: Vec<Attribute>,
}

/// What one field says.
pub(crate) struct Field {
    pub(crate) member: Member,
    /// What its methods are called.
    pub(crate) method: Ident,
    pub(crate) visibility: Visibility,
    /// The name under which it travels.
    pub(crate) name: String,
    /// Names under which it travelled before.
    pub(crate) aliases: Vec<String>,
    /// What is read as long as nothing was written.
    pub(crate) default: Option<Expr>,
    /// The type as written.
    pub(crate) written: Type,
    /// The replicated type it stands for.
    pub(crate) replicated: Type,
    pub(crate) docs: Vec<Attribute>,
}

const NAME: &str = "expected `name = \"…\"`, the name under which peers know the type";
const FIELD: &str = "expected how it merges: `lww` (the last writer wins), `mv` (concurrent values are kept), `max` or `min` \
                     (the largest or smallest value); or `rename = \"…\"`, `alias = \"…\"`, `default` or `default = …`";
const VARIANT: &str = "expected `rename = \"…\"`";

impl Input {
    pub(crate) fn parse(input: &DeriveInput) -> Result<Self> {
        if let Some(lifetime) = input.generics.lifetimes().next() {
            return Err(Error::new(lifetime.span(), "a replicated type owns its data: it has no lifetimes"));
        }
        let mut type_name = plain(&input.ident);
        attributes(&input.attrs, |meta| {
            if !meta.path.is_ident("name") {
                return Err(meta.error(NAME));
            }
            type_name = non_empty(&meta)?;
            Ok(())
        })?;
        match &input.data {
            Data::Struct(data) => {
                let (fields, is_tuple) = fields(&data.fields)?;
                Ok(Self::Struct(Schema {
                    ident: input.ident.clone(),
                    visibility: input.vis.clone(),
                    generics: input.generics.clone(),
                    type_name,
                    fields,
                    is_tuple,
                }))
            }
            Data::Enum(data) => {
                if !input.generics.params.is_empty() {
                    let why =
                        "an enum that derives Crdt has no parameters: a struct may have some, and hold it";
                    return Err(Error::new(input.generics.span(), why));
                }
                if data.variants.is_empty() {
                    return Err(Error::new(
                        input.ident.span(),
                        "an enum without variants has nothing to replicate",
                    ));
                }
                let variants = data.variants.iter();
                let variants = variants.map(|variant| Variant::parse(variant, input, &type_name));
                let variants = variants.collect::<Result<Vec<_>>>()?;
                distinct(variants.iter().map(|variant| (&variant.name[..], variant.ident.span())))?;
                different_methods(&variants)?;
                let (ident, visibility) = (input.ident.clone(), input.vis.clone());
                Ok(Self::Enum(Choice { ident, visibility, type_name, variants }))
            }
            Data::Union(data) => Err(Error::new(
                data.union_token.span(),
                "derive(Crdt) takes structs and enums: a union cannot merge",
            )),
        }
    }
}

impl Schema {
    /// Type parameters that are replicated types: their names are part of the name of this one.
    pub(crate) fn replicated_parameters(&self) -> Vec<&Ident> {
        let is_crdt = |bound: &TypeParamBound| match bound {
            TypeParamBound::Trait(bound) => {
                bound.path.segments.last().is_some_and(|last| last.ident == "Crdt")
            }
            _ => false,
        };
        let in_where = |ident: &Ident| {
            self.generics.where_clause.iter().flat_map(|clause| &clause.predicates).any(|predicate| {
                match predicate {
                    syn::WherePredicate::Type(of) => {
                        matches!(&of.bounded_ty, Type::Path(path) if path.path.is_ident(ident))
                            && of.bounds.iter().any(is_crdt)
                    }
                    _ => false,
                }
            })
        };
        let parameters = self.generics.params.iter().filter_map(|parameter| match parameter {
            GenericParam::Type(of) => Some(of),
            _ => None,
        });
        let replicated = parameters.filter(|of| of.bounds.iter().any(is_crdt) || in_where(&of.ident));
        replicated.map(|of| &of.ident).collect()
    }
}

impl Variant {
    fn parse(variant: &syn::Variant, input: &DeriveInput, type_name: &str) -> Result<Self> {
        let mut name = plain(&variant.ident);
        attributes(&variant.attrs, |meta| {
            if !meta.path.is_ident("rename") {
                return Err(meta.error(VARIANT));
            }
            name = non_empty(&meta)?;
            Ok(())
        })?;
        if name == "=" {
            return Err(Error::new(variant.span(), "`=` is where an enum keeps which variant it is"));
        }
        let refused = |why: &str| Err(Error::new(variant.ident.span(), why));
        if variant.ident == "Unknown" {
            return refused(
                "`Unknown` is what a variant of a newer program is read as: call it otherwise here, and say \
                 `#[crdt(rename = \"Unknown\")]` if it must travel so",
            );
        }
        if !matches!(variant.fields, Fields::Unit)
            && ["State", "Mut", "Ref"].iter().any(|taken| variant.ident == taken)
        {
            return refused(
                "what it holds would be called as a part of the enum is: call it otherwise here, and say \
                 `#[crdt(rename = \"…\")]` if it must travel so",
            );
        }
        let content = match &variant.fields {
            Fields::Unit => None,
            some => {
                let (mut fields, is_tuple) = fields(some)?;
                // As visible as the enum: what a variant holds always is.
                fields.iter_mut().for_each(|field| field.visibility = input.vis.clone());
                Some(Schema {
                    ident: format_ident!("{}{}", input.ident, variant.ident),
                    visibility: input.vis.clone(),
                    generics: Generics::default(),
                    type_name: format!("{type_name}.{name}"),
                    fields,
                    is_tuple,
                })
            }
        };
        let (ident, docs) = (variant.ident.clone(), docs(&variant.attrs));
        let snake = snake(&ident);
        // A word of the language, such as `move`, is a name if it says so; a few are none.
        let method = syn::parse_str::<Ident>(&snake).unwrap_or_else(|_| match &snake[..] {
            "self" | "super" | "crate" => format_ident!("{snake}_", span = ident.span()),
            _ => Ident::new_raw(&snake, ident.span()),
        });
        let choose = format_ident!("choose_{snake}", span = ident.span());
        Ok(Self { ident, method, choose, name, content, docs })
    }
}

fn fields(fields: &Fields) -> Result<(Vec<Field>, bool)> {
    let is_tuple = matches!(fields, Fields::Unnamed(_));
    let parsed =
        fields.iter().enumerate().map(|(at, field)| Field::parse(at, field)).collect::<Result<Vec<_>>>()?;
    if parsed.is_empty() {
        return Err(Error::new(
            fields.span(),
            "a replicated type has a field: there is nothing to replicate",
        ));
    }
    let names = parsed.iter().flat_map(|field| {
        let span = field.method.span();
        field.aliases.iter().chain([&field.name]).map(move |name| (&name[..], span))
    });
    distinct(names)?;
    Ok((parsed, is_tuple))
}

impl Field {
    fn parse(at: usize, field: &syn::Field) -> Result<Self> {
        let (member, method, mut name) = match &field.ident {
            Some(ident) => (Member::Named(ident.clone()), ident.clone(), plain(ident)),
            None => (
                Member::Unnamed(Index { index: at as u32, span: field.ty.span() }),
                Ident::new(&format!("field_{at}"), field.ty.span()),
                at.to_string(),
            ),
        };
        let written = field.ty.clone();
        let (mut register, mut aliases, mut default) = (None::<(&str, Tokens)>, Vec::new(), None);
        attributes(&field.attrs, |meta| {
            let of = |name: &str| meta.path.is_ident(name);
            if let Some((word, tokens)) = [
                ("lww", quote!(::tombolo_crdt::LwwRegister<#written>)),
                ("mv", quote!(::tombolo_crdt::MvRegister<#written>)),
                ("max", quote!(::tombolo_crdt::MaxRegister<#written>)),
                ("min", quote!(::tombolo_crdt::MinRegister<#written>)),
            ]
            .into_iter()
            .find(|(word, _)| of(word))
            {
                if let Some((other, _)) = &register {
                    return Err(meta.error(format!("it merges by `{other}` already")));
                }
                register = Some((word, tokens));
            } else if of("rename") {
                name = non_empty(&meta)?;
            } else if of("alias") {
                aliases.push(non_empty(&meta)?);
            } else if of("default") {
                default = Some(if meta.input.peek(Token![=]) {
                    meta.value()?.parse()?
                } else {
                    syn::parse2(quote!(::core::default::Default::default()))?
                });
            } else {
                return Err(meta.error(FIELD));
            }
            Ok(())
        })?;
        if default.is_some() && !matches!(register, Some(("lww" | "max" | "min", _))) {
            let why = "a default is what one value is read as before it is written: `default` goes with `lww`, `max` or \
                       `min`";
            return Err(Error::new(field.span(), why));
        }
        let replicated = match register {
            Some((word @ ("max" | "min"), _)) if is_one_of(&written, &["f32", "f64"]) => {
                let why = format!(
                    "floats have no total order, for the sake of NaN, so `{word}` cannot tell which is larger: take a whole \
                     number, such as cents, or `tombolo_crdt::Scalar`, which orders them by all their bits"
                );
                return Err(Error::new(written.span(), why));
            }
            Some((_, tokens)) => syn::parse2(tokens)?,
            None if is_one_of(&written, PLAIN) => {
                let why = "a plain value does not merge by itself; say how: `#[crdt(lww)]` (the last writer wins), `#[crdt(mv)]` \
                           (concurrent values are kept), `#[crdt(max)]` or `#[crdt(min)]`; or take a replicated type, such as \
                           `PnCounter`, `AddWinsSet` or `AddWinsMap`";
                return Err(Error::new(written.span(), why));
            }
            None => written.clone(),
        };
        Ok(Self {
            member,
            method,
            visibility: field.vis.clone(),
            name,
            aliases,
            default,
            written,
            replicated,
            docs: docs(&field.attrs),
        })
    }
}

/// Types that everybody knows, and that are not replicated ones.
const PLAIN: &[&str] = &[
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64",
    "u128", "usize", "String", "Option", "Vec", "Box", "HashMap", "HashSet", "BTreeMap", "BTreeSet",
    "VecDeque", "Uuid",
];

fn is_one_of(written: &Type, names: &[&str]) -> bool {
    match written {
        Type::Path(path) => {
            path.path.segments.last().is_some_and(|last| names.iter().any(|name| last.ident == name))
        }
        Type::Reference(_) | Type::Tuple(_) | Type::Array(_) => names.contains(&"String"),
        _ => false,
    }
}

fn non_empty(meta: &ParseNestedMeta<'_>) -> Result<String> {
    let literal = meta.value()?.parse::<LitStr>()?;
    if literal.value().is_empty() {
        return Err(Error::new(literal.span(), "a name that travels is not empty"));
    }
    Ok(literal.value())
}

/// No two of them may be the same: they would share a place.
fn distinct<'n>(names: impl Iterator<Item = (&'n str, Span)>) -> Result<()> {
    let mut seen = Vec::new();
    for (name, span) in names {
        if seen.contains(&name) {
            return Err(Error::new(span, format!("two of them travel under the name `{name}`")));
        }
        seen.push(name);
    }
    Ok(())
}

/// Each method must be one.
fn different_methods(variants: &[Variant]) -> Result<()> {
    let mut seen: Vec<&Ident> = Vec::new();
    for variant in variants {
        for method in variant.content.iter().map(|_| &variant.method).chain([&variant.choose]) {
            if seen.contains(&method) {
                let why = format!("two variants would be written by `{method}`: call one of them otherwise");
                return Err(Error::new(variant.ident.span(), why));
            }
            seen.push(method);
        }
    }
    Ok(())
}

/// `NotYet` as `not_yet`.
fn snake(ident: &Ident) -> String {
    let mut snake = String::new();
    for (at, letter) in plain(ident).chars().enumerate() {
        if letter.is_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

fn plain(ident: &Ident) -> String {
    ident.to_string().trim_start_matches("r#").to_owned()
}

fn docs(attributes: &[Attribute]) -> Vec<Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).cloned().collect()
}

/// Reads what all `#[crdt(…)]` say.
fn attributes(all: &[Attribute], mut each: impl FnMut(ParseNestedMeta<'_>) -> Result<()>) -> Result<()> {
    all.iter()
        .filter(|attribute| attribute.path().is_ident("crdt"))
        .try_for_each(|attribute| attribute.parse_nested_meta(&mut each))
}
