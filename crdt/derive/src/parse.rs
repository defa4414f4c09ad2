//! Reads the struct that an application wrote, and says what is wrong with it.

use proc_macro2::Span;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Ident, LitStr, Result, Type, Visibility};

/// What a struct says.
pub(crate) struct Schema {
    pub(crate) ident: Ident,
    pub(crate) visibility: Visibility,
    pub(crate) type_name: String,
    pub(crate) fields: Vec<Field>,
}

/// What one field says.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) visibility: Visibility,
    /// The name under which it travels.
    pub(crate) name: String,
    /// The type as written.
    pub(crate) written: Type,
    /// The replicated type it stands for.
    pub(crate) replicated: Type,
    pub(crate) docs: Vec<Attribute>,
}

impl Schema {
    pub(crate) fn parse(input: &DeriveInput) -> Result<Self> {
        if !input.generics.params.is_empty() {
            return Err(Error::new(
                input.generics.span(),
                "derive(Crdt) does not support generic structs yet",
            ));
        }
        let fields = match &input.data {
            Data::Struct(data) => match &data.fields {
                Fields::Named(fields) => &fields.named,
                _ => {
                    return Err(Error::new(
                        input.ident.span(),
                        "derive(Crdt) needs named fields: peers know fields by name",
                    ));
                }
            },
            _ => {
                return Err(Error::new(
                    input.ident.span(),
                    "derive(Crdt) supports structs with named fields",
                ));
            }
        };
        let mut type_name = input.ident.to_string();
        for attribute in own(&input.attrs) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    type_name = meta.value()?.parse::<LitStr>()?.value();
                    Ok(())
                } else {
                    Err(meta.error("expected `name = \"…\"`"))
                }
            })?;
        }
        let fields = fields.iter().map(Field::parse).collect::<Result<_>>()?;
        Ok(Self { ident: input.ident.clone(), visibility: input.vis.clone(), type_name, fields })
    }
}

impl Field {
    fn parse(field: &syn::Field) -> Result<Self> {
        let ident =
            field.ident.clone().ok_or_else(|| Error::new(Span::call_site(), "a field needs a name"))?;
        let written = field.ty.clone();
        let mut replicated = written.clone();
        for attribute in own(&field.attrs) {
            attribute.parse_nested_meta(|meta| {
                let tokens = if meta.path.is_ident("lww") {
                    quote!(::tombolo_crdt::LwwRegister<#written>)
                } else if meta.path.is_ident("mv") {
                    quote!(::tombolo_crdt::MvRegister<#written>)
                } else {
                    return Err(meta.error(
                        "expected `lww` (the last writer wins) or `mv` (concurrent values are kept)",
                    ));
                };
                replicated = syn::parse2(tokens)?;
                Ok(())
            })?;
        }
        Ok(Self {
            name: ident.to_string().trim_start_matches("r#").to_owned(),
            ident,
            visibility: field.vis.clone(),
            written,
            replicated,
            docs: field.attrs.iter().filter(|attribute| attribute.path().is_ident("doc")).cloned().collect(),
        })
    }
}

fn own(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("crdt"))
}
