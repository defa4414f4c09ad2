//! What an enum becomes: a register that says which variant it is, and what each variant holds.

use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{Ident, LitByteStr};

use crate::parse::{Choice, Variant};
use crate::structs;

/// The place of the register. No variant is called so.
const CHOSEN: &str = "=";

pub(crate) fn expand(choice: &Choice) -> Tokens {
    let contents = choice.variants.iter().filter_map(|variant| {
        let schema = variant.content.as_ref()?;
        let (ident, visibility) = (&schema.ident, &schema.visibility);
        let doc = format!("What a [`{}::{}`] holds.", choice.ident, variant.ident);
        let expanded = structs::expand(schema);
        Some(quote! {
            #[doc = #doc]
            #visibility enum #ident {}
            #expanded
        })
    });
    let parts = [state(choice), reading(choice), store(choice), handle(choice)];
    quote!(#(#contents)* #(#parts)*)
}

fn state_ident(choice: &Choice) -> Ident {
    format_ident!("{}State", choice.ident)
}

fn handle_ident(choice: &Choice) -> Ident {
    format_ident!("{}Mut", choice.ident)
}

fn reading_ident(choice: &Choice) -> Ident {
    format_ident!("{}Ref", choice.ident)
}

/// Where the state keeps what a variant holds.
fn field_of(variant: &Variant) -> Ident {
    format_ident!("__{}", variant.method)
}

/// The variants that hold something: the field of each, its type, its name.
struct Contents<'c> {
    fields: Vec<Ident>,
    schemas: Vec<&'c Ident>,
    names: Vec<&'c str>,
    named: Vec<LitByteStr>,
}

fn contents(choice: &Choice) -> Contents<'_> {
    let mut contents = Contents { fields: vec![], schemas: vec![], names: vec![], named: vec![] };
    for variant in &choice.variants {
        if let Some(schema) = &variant.content {
            contents.fields.push(field_of(variant));
            contents.schemas.push(&schema.ident);
            contents.names.push(&variant.name);
            contents.named.push(LitByteStr::new(variant.name.as_bytes(), variant.ident.span()));
        }
    }
    contents
}

fn state(choice: &Choice) -> Tokens {
    let (visibility, state, ident) = (&choice.visibility, state_ident(choice), &choice.ident);
    let Contents { fields, schemas, .. } = contents(choice);
    let doc = format!("What is stored and read of a [`{ident}`].");
    quote! {
        #[doc = #doc]
        #[derive(Clone, Default)]
        #visibility struct #state {
            __chosen: ::tombolo_crdt::LwwRegister<::tombolo_crdt::alloc::string::String>,
            #(#fields: <#schemas as ::tombolo_crdt::Crdt>::State,)*
            __unknown: ::tombolo_crdt::UnknownFields,
        }

        impl ::tombolo_crdt::serde::Serialize for #state {
            fn serialize<__S: ::tombolo_crdt::serde::Serializer>(
                &self,
                serializer: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                ::tombolo_crdt::DotStore::view(self, serializer)
            }
        }
    }
}

fn reading(choice: &Choice) -> Tokens {
    let (visibility, state, reading) = (&choice.visibility, state_ident(choice), reading_ident(choice));
    let doc = format!("Which [`{}`] it is, with what it holds.", choice.ident);
    let variants = choice.variants.iter().map(|Variant { ident, content, docs, .. }| match content {
        Some(schema) => {
            let held = &schema.ident;
            quote!(#(#docs)* #ident(&'s <#held as ::tombolo_crdt::Crdt>::State))
        }
        None => quote!(#(#docs)* #ident),
    });
    let arms = choice.variants.iter().map(|variant| {
        let (ident, name) = (&variant.ident, &variant.name);
        match &variant.content {
            Some(_) => {
                let field = field_of(variant);
                quote!(#name => #reading::#ident(&self.#field))
            }
            None => quote!(#name => #reading::#ident),
        }
    });
    quote! {
        #[doc = #doc]
        #[allow(missing_docs, clippy::exhaustive_enums)]
        #visibility enum #reading<'s> {
            #(#variants,)*
            /// A variant that a newer version of the application knows.
            Unknown(&'s str),
        }

        impl #state {
            /// Which variant it is: of concurrent choices the later one. `None` before the first choice.
            #[must_use]
            #visibility fn get(&self) -> ::core::option::Option<#reading<'_>> {
                ::core::option::Option::Some(match self.__chosen.value()?.as_str() {
                    #(#arms,)*
                    other => #reading::Unknown(other),
                })
            }

            /// The register that says which variant it is: when it was chosen, and whether several chose at once.
            #[must_use]
            #[allow(dead_code)]
            #visibility fn chosen(&self) -> &::tombolo_crdt::LwwRegister<::tombolo_crdt::alloc::string::String> {
                &self.__chosen
            }
        }
    }
}

fn store(choice: &Choice) -> Tokens {
    let (state, reading) = (state_ident(choice), reading_ident(choice));
    let Contents { fields, schemas, names, named } = contents(choice);
    let krate = quote!(::tombolo_crdt);
    let chosen = LitByteStr::new(CHOSEN.as_bytes(), choice.ident.span());
    let with_content = || choice.variants.iter().filter(|variant| variant.content.is_some());
    let disputed = with_content().map(|Variant { ident, name, .. }| {
        quote!(::core::option::Option::Some(#reading::#ident(held)) => {
            disputes.below(#krate::Plain::from(#name), |disputes| {
                #krate::DotStore::conflicts(held, disputes);
            });
        })
    });
    let plains = choice.variants.iter().map(|Variant { ident, name, content, .. }| match content {
        Some(_) => quote!(::core::option::Option::Some(#reading::#ident(held)) => {
            let entry = (#krate::Plain::from(#name), #krate::DotStore::plain(held));
            #krate::Plain::Map(::core::iter::FromIterator::from_iter([entry]))
        }),
        None => quote!(::core::option::Option::Some(#reading::#ident) => #krate::Plain::from(#name)),
    });
    let looks = with_content().map(|Variant { ident, name, .. }| {
        quote!(::core::option::Option::Some(#reading::#ident(held)) => #krate::look_at_variant(
            look,
            #chosen,
            #name,
            |look| #krate::DotStore::look(held, look),
            || #krate::DotStore::plain(self),
        ),)
    });
    let changes = with_content().map(|Variant { ident, .. }| {
        quote!(::core::option::Option::Some(#reading::#ident(held)) => {
            #krate::DotStore::changed(held, seen, gathered);
        })
    });
    let shown = choice.variants.iter().map(|Variant { ident, name, content, .. }| match content {
        Some(_) => quote!(::core::option::Option::Some(#reading::#ident(held)) => {
            let mut map = serializer.serialize_map(::core::option::Option::Some(1))?;
            map.serialize_entry(#name, &#krate::View(held))?;
            map.end()
        }),
        None => quote!(::core::option::Option::Some(#reading::#ident) => serializer.serialize_str(#name)),
    });
    quote! {
        impl #krate::DotStore for #state {
            fn take_in(&mut self, node: #krate::Node<'_>, join: &mut #krate::Join<'_>) {
                for (name, field) in node.children() {
                    match name {
                        #chosen => join.below(&mut self.__chosen, field),
                        #(#named => join.below(&mut self.#fields, field),)*
                        _ => self.__unknown.take_in(name, field, join),
                    }
                }
            }

            fn retain(&mut self, keep: &mut dyn FnMut(#krate::LocalDot) -> bool) {
                #krate::DotStore::retain(&mut self.__chosen, keep);
                #(#krate::DotStore::retain(&mut self.#fields, keep);)*
                self.__unknown.retain(keep);
            }

            fn settle(&mut self) {
                #(#krate::DotStore::settle(&mut self.#fields);)*
            }

            fn dots(&self, each: &mut dyn FnMut(#krate::LocalDot)) {
                #krate::DotStore::dots(&self.__chosen, each);
                #(#krate::DotStore::dots(&self.#fields, each);)*
                self.__unknown.dots(each);
            }

            fn carry(&self, wanted: &dyn Fn(#krate::LocalDot) -> bool, writer: &mut #krate::TreeWriter<'_>) {
                writer.field(#CHOSEN, &self.__chosen, wanted);
                #(writer.field(#names, &self.#fields, wanted);)*
                self.__unknown.carry(wanted, writer);
            }

            fn is_bottom(&self) -> bool {
                #krate::DotStore::is_bottom(&self.__chosen)
                    #(&& #krate::DotStore::is_bottom(&self.#fields))*
                    && self.__unknown.is_empty()
            }

            fn shows(&self) -> bool {
                #krate::DotStore::shows(&self.__chosen)
                    #(|| #krate::DotStore::shows(&self.#fields))*
                    || self.__unknown.shows()
            }

            fn prune(&mut self, node: #krate::Node<'_>) {
                for (name, field) in node.children() {
                    match name {
                        #(#named => #krate::DotStore::prune(&mut self.#fields, field),)*
                        _ => {}
                    }
                }
            }

            fn check(node: #krate::Node<'_>) -> ::core::result::Result<(), #krate::Mismatch> {
                node.check_fields(|name, field| match name {
                    #chosen => <#krate::LwwRegister<::tombolo_crdt::alloc::string::String> as #krate::DotStore>::check(field),
                    #(#named => <<#schemas as #krate::Crdt>::State as #krate::DotStore>::check(field),)*
                    _ => ::core::result::Result::Ok(()),
                })
            }

            fn remembered(&self, sweep: &mut #krate::Sweep<'_>) {
                #(#krate::DotStore::remembered(&self.#fields, sweep);)*
            }

            fn conflicts(&self, disputes: &mut #krate::Disputes<'_>) {
                #krate::DotStore::conflicts(&self.__chosen, disputes);
                match self.get() {
                    #(#disputed)*
                    _ => {}
                }
            }

            fn plain(&self) -> #krate::Plain {
                match self.get() {
                    #(#plains,)*
                    ::core::option::Option::Some(#reading::Unknown(name)) => #krate::Plain::from(name),
                    ::core::option::Option::None => #krate::Plain::Null,
                }
            }

            fn look(&self, look: #krate::Look<'_>) -> #krate::Seen {
                match self.get() {
                    #(#looks)*
                    _ => {
                        let _ = look;
                        #krate::Seen::value(#krate::DotStore::plain(self))
                    }
                }
            }

            fn changed(&self, before: &#krate::Seen, gathered: &mut #krate::Gathered) {
                gathered.variant(before, || #krate::DotStore::plain(self), |seen, gathered| match self.get() {
                    #(#changes)*
                    _ => {
                        let _ = (seen, gathered);
                    }
                });
            }

            fn view<__S: #krate::serde::Serializer>(
                &self,
                serializer: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                #[allow(unused_imports)]
                use #krate::serde::ser::SerializeMap as _;
                match self.get() {
                    #(#shown,)*
                    ::core::option::Option::Some(#reading::Unknown(name)) => serializer.serialize_str(name),
                    ::core::option::Option::None => serializer.serialize_none(),
                }
            }
        }
    }
}

fn handle(choice: &Choice) -> Tokens {
    let (visibility, ident, type_name) = (&choice.visibility, &choice.ident, &choice.type_name);
    let (state, handle) = (state_ident(choice), handle_ident(choice));
    let Contents { fields, schemas, names, .. } = contents(choice);
    let methods = choice.variants.iter().map(|variant| {
        let Variant { choose, method: narrow, name, .. } = variant;
        let doc = format!(
            "Makes it a `{}`, unless it is one: what other variants held is gone, as far as it is seen here.",
            variant.ident
        );
        let Some(schema) = &variant.content else {
            return quote! {
                #[doc = #doc]
                #[allow(dead_code)]
                #visibility fn #choose(&mut self) {
                    self.__choose(#name);
                }
            };
        };
        let (held, field) = (&schema.ident, field_of(variant));
        let narrow_doc = format!("Write access to what it holds, if it is a `{}`.", variant.ident);
        quote! {
            #[doc = #doc]
            #[allow(dead_code)]
            #visibility fn #choose(&mut self) -> <#held as ::tombolo_crdt::Crdt>::Mut<'_> {
                self.__choose(#name);
                self.0.variant::<#held>(#name, |state| &mut state.#field)
            }

            #[doc = #narrow_doc]
            #[allow(dead_code)]
            #visibility fn #narrow(
                &mut self,
            ) -> ::core::option::Option<<#held as ::tombolo_crdt::Crdt>::Mut<'_>> {
                let is_one = self.0.__chosen.value().is_some_and(|chosen| chosen == #name);
                is_one.then(|| self.0.variant::<#held>(#name, |state| &mut state.#field))
            }
        }
    });
    let doc = format!("Write access to a [`{ident}`] inside one transaction.");
    quote! {
        #[doc = #doc]
        #visibility struct #handle<'a>(::tombolo_crdt::Mut<'a, #state>);

        impl<'a> ::core::convert::From<::tombolo_crdt::Mut<'a, #state>> for #handle<'a> {
            fn from(handle: ::tombolo_crdt::Mut<'a, #state>) -> Self {
                Self(handle)
            }
        }

        impl ::core::ops::Deref for #handle<'_> {
            type Target = #state;

            fn deref(&self) -> &#state {
                &self.0
            }
        }

        impl #handle<'_> {
            #(#methods)*

            fn __choose(&mut self, name: &str) {
                let is_one = self.0.__chosen.value().is_some_and(|chosen| chosen == name);
                if is_one && !self.0.__chosen.is_conflicted() {
                    return;
                }
                #(if !(is_one && name == #names) {
                    self.0.clear_field(#names, |state| &mut state.#fields);
                })*
                self.0.clear_unknown(|state| &mut state.__unknown);
                self.0
                    .field::<::tombolo_crdt::LwwRegister<::tombolo_crdt::alloc::string::String>>(#CHOSEN, |state| &mut state.__chosen)
                    .set(name);
            }
        }

        #(const _: () = ::core::assert!(
            <#schemas as ::tombolo_crdt::Crdt>::REMOVABLE,
            "a variant loses what it holds when another is chosen; what may not be removed, as a `BoundedCounter`, cannot stand in one"
        );)*

        impl ::tombolo_crdt::Crdt for #ident {
            type State = #state;
            type Mut<'a> = #handle<'a>;

            fn type_name() -> ::tombolo_crdt::alloc::borrow::Cow<'static, str> {
                ::tombolo_crdt::alloc::borrow::Cow::Borrowed(#type_name)
            }
        }
    }
}
