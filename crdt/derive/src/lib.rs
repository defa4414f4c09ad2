//! `#[derive(Crdt)]`: an application's struct as a replicated type.
//!
//! The struct that is written is the *schema*. From a `Board` the macro makes
//! - `BoardState`, what is stored and read: the same fields, each as its replicated state;
//! - `BoardMut`, what a writing closure receives: one method a field;
//! - `impl Crdt for Board`, which ties them together.
//!
//! Fields travel by name, and fields this version of the application does not know are kept and passed on.

mod parse;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{DeriveInput, parse_macro_input};

use parse::{Field, Schema};

/// Makes a struct with named fields a replicated type.
///
/// Every field is a replicated type itself, or a plain type with an attribute that says how it merges:
/// `#[crdt(lww)] title: String` is an `LwwRegister<String>`, `#[crdt(mv)]` an `MvRegister<String>`. The name under which
/// peers know the type is the struct's, or that of `#[crdt(name = "…")]`.
#[proc_macro_derive(Crdt, attributes(crdt))]
pub fn derive_crdt(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    match Schema::parse(&input) {
        Ok(schema) => expand(&schema).into(),
        Err(error) => error.to_compile_error().into(),
    }
}

fn expand(schema: &Schema) -> Tokens {
    let state = expand_state(schema);
    let store = expand_store(schema);
    let handle = expand_handle(schema);
    let ident = &schema.ident;
    let type_name = &schema.type_name;
    let (state_ident, handle_ident) = (state_ident(schema), handle_ident(schema));
    let names: Vec<_> = schema.fields.iter().map(|field| &field.ident).collect();
    let replicated: Vec<_> = schema.fields.iter().map(|field| &field.replicated).collect();
    let types: Vec<_> = schema.fields.iter().map(|field| &field.written).collect();
    quote! {
        #state
        #store
        #handle

        impl ::tombolo_crdt::Crdt for #ident {
            type State = #state_ident;
            type Mut<'a> = #handle_ident<'a>;

            const REMOVABLE: bool = true #(&& <#replicated as ::tombolo_crdt::Crdt>::REMOVABLE)*;

            fn type_name() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(#type_name)
            }
        }

        // The schema itself is never built; without this its fields would be reported as dead code.
        const _: () = {
            #[allow(dead_code, clippy::too_many_arguments)]
            fn schema(#(#names: #types),*) {
                let #ident { #(#names),* } = #ident { #(#names),* };
                #(drop(#names);)*
            }
        };
    }
}

fn state_ident(schema: &Schema) -> syn::Ident {
    format_ident!("{}State", schema.ident)
}

fn handle_ident(schema: &Schema) -> syn::Ident {
    format_ident!("{}Mut", schema.ident)
}

fn expand_state(schema: &Schema) -> Tokens {
    let (visibility, state) = (&schema.visibility, state_ident(schema));
    let fields = schema.fields.iter().map(|Field { ident, visibility, replicated, docs, .. }| {
        quote!(#(#docs)* #visibility #ident: <#replicated as ::tombolo_crdt::Crdt>::State)
    });
    let doc = format!("What is stored and read of a [`{}`].", schema.ident);
    quote! {
        #[doc = #doc]
        #[allow(missing_docs)]
        #[derive(Clone, Default)]
        #visibility struct #state {
            #(#fields,)*
            __unknown: ::tombolo_crdt::UnknownFields,
        }
    }
}

fn expand_store(schema: &Schema) -> Tokens {
    let state = state_ident(schema);
    let idents: Vec<_> = schema.fields.iter().map(|field| &field.ident).collect();
    let names: Vec<_> = schema.fields.iter().map(|field| &field.name).collect();
    let bytes: Vec<_> = schema
        .fields
        .iter()
        .map(|field| syn::LitByteStr::new(field.name.as_bytes(), field.ident.span()))
        .collect();
    let states: Vec<_> = schema
        .fields
        .iter()
        .map(|Field { replicated, .. }| quote!(<#replicated as ::tombolo_crdt::Crdt>::State))
        .collect();
    let count = idents.len();
    let krate = quote!(::tombolo_crdt);
    quote! {
        impl #krate::DotStore for #state {
            fn take_in(&mut self, node: #krate::Node<'_>, join: &mut #krate::Join<'_>) {
                for (name, field) in node.children() {
                    match name {
                        #(#bytes => join.below(&mut self.#idents, field),)*
                        _ => self.__unknown.take_in(name, field, join),
                    }
                }
            }

            fn retain(&mut self, keep: &mut dyn FnMut(#krate::LocalDot) -> bool) {
                #(#krate::DotStore::retain(&mut self.#idents, keep);)*
                self.__unknown.retain(keep);
            }

            fn dots(&self, each: &mut dyn FnMut(#krate::LocalDot)) {
                #(#krate::DotStore::dots(&self.#idents, each);)*
                self.__unknown.dots(each);
            }

            fn carry(&self, wanted: &dyn Fn(#krate::LocalDot) -> bool, writer: &mut #krate::TreeWriter<'_>) {
                #(writer.field(#names, &self.#idents, wanted);)*
                self.__unknown.carry(wanted, writer);
            }

            fn is_bottom(&self) -> bool {
                #(#krate::DotStore::is_bottom(&self.#idents) &&)* self.__unknown.is_empty()
            }

            fn prune(&mut self, node: #krate::Node<'_>) {
                for (name, field) in node.children() {
                    match name {
                        #(#bytes => #krate::DotStore::prune(&mut self.#idents, field),)*
                        _ => {}
                    }
                }
            }

            fn check(node: #krate::Node<'_>) -> ::std::result::Result<(), #krate::Mismatch> {
                node.check_fields(|name, field| match name {
                    #(#bytes => <#states as #krate::DotStore>::check(field),)*
                    _ => ::std::result::Result::Ok(()),
                })
            }

            fn view<S: #krate::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                use #krate::serde::ser::SerializeMap as _;
                let mut map = serializer.serialize_map(::std::option::Option::Some(#count))?;
                #(map.serialize_entry(#names, &#krate::View(&self.#idents))?;)*
                map.end()
            }
        }
    }
}

fn expand_handle(schema: &Schema) -> Tokens {
    let (visibility, state, handle) = (&schema.visibility, state_ident(schema), handle_ident(schema));
    let fields = schema.fields.iter().map(|Field { ident, visibility, replicated, name, .. }| {
        let doc = format!("Write access to `{ident}`.");
        quote! {
            #[doc = #doc]
            #[allow(dead_code)]
            #visibility fn #ident(&mut self) -> <#replicated as ::tombolo_crdt::Crdt>::Mut<'_> {
                self.0.field::<#replicated>(#name, |state| &mut state.#ident)
            }
        }
    });
    let doc = format!("Write access to a [`{}`] inside one transaction.", schema.ident);
    quote! {
        #[doc = #doc]
        #visibility struct #handle<'a>(::tombolo_crdt::Mut<'a, #state>);

        impl<'a> ::std::convert::From<::tombolo_crdt::Mut<'a, #state>> for #handle<'a> {
            fn from(handle: ::tombolo_crdt::Mut<'a, #state>) -> Self {
                Self(handle)
            }
        }

        impl ::std::ops::Deref for #handle<'_> {
            type Target = #state;

            fn deref(&self) -> &#state {
                &self.0
            }
        }

        impl #handle<'_> {
            #(#fields)*
        }
    }
}
