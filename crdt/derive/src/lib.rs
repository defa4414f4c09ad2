//! `#[derive(Crdt)]`: an application's struct or enum as a replicated type.
//!
//! What is written is the *schema*. From a `Board` the macro makes
//! - `BoardState`, what is stored and read: the same fields, each as its replicated state;
//! - `BoardMut`, what a writing closure receives: one method a field;
//! - `impl Crdt for Board`, which ties them together.
//!
//! Of an enum `Shape` there is a `ShapeRef` beside, to match on. Fields and variants travel by name, and those that this
//! version of the application does not know are kept and passed on.

mod enums;
mod parse;
mod structs;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{ToTokens, format_ident, quote};
use syn::{DeriveInput, parse_macro_input};

use parse::{Choice, Input, Schema};

/// Makes a struct or an enum a replicated type.
///
/// Every field is a replicated type itself, or a plain type with an attribute that says how it merges: `#[crdt(lww)] title:
/// String` is an `LwwRegister<String>`; `mv`, `max` and `min` stand for the other registers. The name under which peers know the
/// type is its own, or that of `#[crdt(name = "…")]`.
///
/// | on a field | |
/// |---|---|
/// | `rename = "…"` | it travels under this name: programs that call it so, and those that call it otherwise in their source, share it |
/// | `alias = "…"` | what stands under this older name is part of it too; what is new is written under the present name |
/// | `default`, `default = …` | what the method `state.field()` reads before the first write; never written. The register `state.field` itself reads `None` until then |
///
/// A tuple struct's fields travel as `0`, `1` …, and are written by `field_0()`, `field_1()` …. Type parameters are taken over;
/// those bounded by `Crdt` are part of the type's name.
///
/// An enum is one of its variants: the one chosen last. `state.get()` says which, `handle.choose_circle()` chooses it, and clears what
/// other variants held, as far as it is seen; `handle.circle()` writes into it, if it is the one. Of concurrent choices the later one
/// is shown; what stands below the other is gone for good once somebody who has seen both chooses. A variant `Circle` of an enum
/// `Shape` that holds something becomes a type `ShapeCircle`, with `ShapeCircleState` and `ShapeCircleMut`; one called as a word of the
/// language, such as `Move`, is written into by `r#move()`.
#[proc_macro_derive(Crdt, attributes(crdt))]
pub fn derive_crdt(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let expanded = match Input::parse(&input) {
        Ok(Input::Struct(schema)) => {
            let parts = [structs::expand(&schema), built_once(&schema)];
            quote!(#(#parts)*)
        }
        Ok(Input::Enum(choice)) => {
            let parts = [enums::expand(&choice), chosen_once(&choice)];
            quote!(#(#parts)*)
        }
        Err(error) => error.to_compile_error(),
    };
    expanded.into()
}

/// The schema itself is never built; without this its fields would be reported as dead code.
fn built_once(schema: &Schema) -> Tokens {
    let ident = &schema.ident;
    let (implemented, arguments, conditions) = schema.generics.split_for_impl();
    let (members, types) = fields(schema);
    let values: Vec<_> = (0..members.len()).map(|at| format_ident!("field_{at}")).collect();
    quote! {
        const _: () = {
            #[allow(dead_code, clippy::too_many_arguments)]
            fn schema #implemented (#(#values: #types),*) #conditions {
                let schema: #ident #arguments = #ident { #(#members: #values),* };
                let #ident { #(#members: #values),* } = schema;
                let _ = (#(#values,)*);
            }
        };
    }
}

/// As [`built_once`], of an enum.
fn chosen_once(choice: &Choice) -> Tokens {
    let ident = &choice.ident;
    let variants = choice.variants.iter().map(|variant| {
        let name = &variant.ident;
        let Some(schema) = &variant.content else { return quote!(let _ = #ident::#name;) };
        let (members, types) = fields(schema);
        let values: Vec<_> = (0..members.len()).map(|at| format_ident!("field_{at}")).collect();
        quote! {
            #[allow(dead_code, clippy::too_many_arguments)]
            fn #name(#(#values: #types),*) {
                if let #ident::#name { #(#members: #values),* } = (#ident::#name { #(#members: #values),* }) {
                    let _ = (#(#values,)*);
                }
            }
        }
    });
    quote! {
        const _: () = {
            #[allow(dead_code, non_snake_case, irrefutable_let_patterns)]
            fn schema() {
                #(#variants)*
            }
        };
    }
}

fn fields(schema: &Schema) -> (Vec<impl ToTokens>, Vec<impl ToTokens>) {
    schema.fields.iter().map(|field| (field.member.clone(), field.written.clone())).unzip()
}
