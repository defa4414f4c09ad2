//! What a struct becomes.

use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{Ident, Index, LitByteStr, Member};

use crate::parse::{Field, Schema};

pub(crate) fn expand(schema: &Schema) -> Tokens {
    let parts = [state(schema), store(schema), handle(schema), crdt(schema)];
    quote!(#(#parts)*)
}

pub(crate) fn state_ident(schema: &Schema) -> Ident {
    format_ident!("{}State", schema.ident)
}

pub(crate) fn handle_ident(schema: &Schema) -> Ident {
    format_ident!("{}Mut", schema.ident)
}

/// The field for what this program does not know, and one for each older name of a field.
fn unknown(schema: &Schema) -> Member {
    if schema.is_tuple { Index::from(schema.fields.len()).into() } else { format_ident!("__unknown").into() }
}

/// For each older name its field, and the name.
fn aliases<'s>(schema: &'s Schema, of: &'s Field) -> impl Iterator<Item = (Member, &'s str)> {
    let before = schema.fields.iter().take_while(|field| field.member != of.member);
    let before: usize = before.map(|field| field.aliases.len()).sum();
    of.aliases.iter().enumerate().map(move |(at, alias)| {
        let member = if schema.is_tuple {
            Index::from(schema.fields.len() + 1 + before + at).into()
        } else {
            format_ident!("__alias_{}", before + at).into()
        };
        (member, &alias[..])
    })
}

fn state_type(field: &Field) -> Tokens {
    let replicated = &field.replicated;
    quote!(<#replicated as ::tombolo_crdt::Crdt>::State)
}

fn state(schema: &Schema) -> Tokens {
    let (visibility, state) = (&schema.visibility, state_ident(schema));
    let (generics, (implemented, arguments, conditions)) =
        (&schema.generics, schema.generics.split_for_impl());
    let doc = format!("What is stored and read of a [`{}`].", schema.ident);
    let fields = schema.fields.iter().map(|field| {
        let Field { visibility, docs, .. } = field;
        let of = state_type(field);
        match &field.member {
            Member::Named(ident) => quote!(#(#docs)* #visibility #ident: #of),
            Member::Unnamed(_) => quote!(#(#docs)* #visibility #of),
        }
    });
    let old_names = schema.fields.iter().flat_map(|field| aliases(schema, field));
    let old_names = old_names.map(|(member, _)| match member {
        Member::Named(ident) => quote!(#ident: ::tombolo_crdt::Alias),
        Member::Unnamed(_) => quote!(::tombolo_crdt::Alias),
    });
    let body = if schema.is_tuple {
        quote!((#(#fields,)* ::tombolo_crdt::UnknownFields, #(#old_names,)*) #conditions;)
    } else {
        quote!(#conditions { #(#fields,)* __unknown: ::tombolo_crdt::UnknownFields, #(#old_names,)* })
    };
    // Written out, for a derived one would ask for parameters that can do the same.
    let members: Vec<Member> = {
        let fields = schema.fields.iter().map(|field| field.member.clone());
        let old_names =
            schema.fields.iter().flat_map(|field| aliases(schema, field)).map(|(member, _)| member);
        fields.chain([unknown(schema)]).chain(old_names).collect()
    };
    let types: Vec<_> = schema.fields.iter().map(state_type).collect();
    let cloned = if schema.generics.params.is_empty() {
        quote!()
    } else {
        let given = conditions.iter().flat_map(|clause| &clause.predicates);
        quote!(where #(#given,)* #(#types: ::core::clone::Clone,)*)
    };
    let defaults = schema.fields.iter().filter_map(|field| {
        let default = field.default.as_ref()?;
        let Field { visibility, method, member, written, .. } = field;
        let doc = format!("The value of `{method}`, or what it is read as before it is written.");
        Some(quote! {
            #[doc = #doc]
            #[allow(dead_code)]
            #visibility fn #method(&self) -> #written {
                match self.#member.value() {
                    ::core::option::Option::Some(value) => ::core::clone::Clone::clone(value),
                    ::core::option::Option::None => #default,
                }
            }
        })
    });
    quote! {
        #[doc = #doc]
        #[allow(missing_docs)]
        #visibility struct #state #generics #body

        impl #implemented ::core::clone::Clone for #state #arguments #cloned {
            fn clone(&self) -> Self {
                Self { #(#members: ::core::clone::Clone::clone(&self.#members),)* }
            }
        }

        impl #implemented ::core::default::Default for #state #arguments #conditions {
            fn default() -> Self {
                Self { #(#members: ::core::default::Default::default(),)* }
            }
        }

        impl #implemented #state #arguments #conditions {
            #(#defaults)*
        }

        impl #implemented ::tombolo_crdt::serde::Serialize for #state #arguments #conditions {
            fn serialize<__S: ::tombolo_crdt::serde::Serializer>(
                &self,
                serializer: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                ::tombolo_crdt::DotStore::view(self, serializer)
            }
        }
    }
}

fn bytes(name: &str, field: &Field) -> LitByteStr {
    LitByteStr::new(name.as_bytes(), field.method.span())
}

fn store(schema: &Schema) -> Tokens {
    let state = state_ident(schema);
    let (implemented, arguments, conditions) = schema.generics.split_for_impl();
    let krate = quote!(::tombolo_crdt);
    let unknown = unknown(schema);
    let members: Vec<_> = schema.fields.iter().map(|field| &field.member).collect();
    let named: Vec<_> = schema.fields.iter().map(|field| bytes(&field.name, field)).collect();
    let types: Vec<_> = schema.fields.iter().map(state_type).collect();
    let (mut alias_members, mut alias_named, mut alias_fields, mut alias_types) =
        (vec![], vec![], vec![], vec![]);
    let (mut carried, mut remembered) = (Vec::new(), Vec::new());
    for field in &schema.fields {
        let (member, name) = (&field.member, &field.name);
        let of_field: Vec<_> = aliases(schema, field).collect();
        let olds: Vec<_> = of_field.iter().map(|(alias, _)| alias.clone()).collect();
        if olds.is_empty() {
            carried.push(quote!(writer.field(#name, &self.#member, wanted);));
            remembered.push(quote!(#krate::DotStore::remembered(&self.#member, sweep);));
        } else {
            remembered.push(quote! {
                sweep.renamed([#(&self.#olds),*], |sweep| {
                    #krate::DotStore::remembered(&self.#member, sweep);
                });
            });
            carried.push(quote! {
                writer.field(#name, &self.#member, &|dot| wanted(dot) #(&& !self.#olds.has(dot))*);
            });
        }
        for (alias, old) in of_field {
            carried.push(quote! {
                writer.field(#old, &self.#member, &|dot| wanted(dot) && self.#alias.has(dot));
            });
            alias_named.push(bytes(old, field));
            alias_members.push(alias);
            alias_fields.push(member.clone());
            alias_types.push(state_type(field));
        }
    }
    let shown = schema.fields.iter().map(|field| {
        let Field { member, method, name, default, .. } = field;
        match default {
            Some(_) => quote!(map.serialize_entry(#name, &self.#method())?;),
            None => quote!(map.serialize_entry(#name, &#krate::View(&self.#member))?;),
        }
    });
    let all_names: Vec<_> = schema.fields.iter().map(|field| &field.name).collect();
    let old_names = schema.fields.iter().map(|field| {
        let olds = &field.aliases;
        quote!(#(#olds),*)
    });
    let (mut plains, mut looks, mut changes) = (vec![], vec![], vec![]);
    for Field { member, method, default, .. } in &schema.fields {
        if default.is_some() {
            plains.push(quote!(#krate::Plain::of(&self.#method())));
            looks.push(quote!({
                let _ = look;
                #krate::Seen::value(#krate::Plain::of(&self.#method()))
            }));
            changes.push(quote!(gathered.value(seen, || #krate::Plain::of(&self.#method()))));
        } else {
            plains.push(quote!(#krate::DotStore::plain(&self.#member)));
            looks.push(quote!(#krate::DotStore::look(&self.#member, look)));
            changes.push(quote!(#krate::DotStore::changed(&self.#member, seen, gathered)));
        }
    }
    let count = members.len();
    quote! {
        impl #implemented #krate::DotStore for #state #arguments #conditions {
            fn take_in(&mut self, node: #krate::Node<'_>, join: &mut #krate::Join<'_>) {
                for (name, field) in node.children() {
                    match name {
                        #(#named => join.below(&mut self.#members, field),)*
                        #(#alias_named => self.#alias_members.take_in(&mut self.#alias_fields, field, join),)*
                        _ => self.#unknown.take_in(name, field, join),
                    }
                }
            }

            fn retain(&mut self, keep: &mut dyn FnMut(#krate::LocalDot) -> bool) {
                #(#krate::DotStore::retain(&mut self.#members, keep);)*
                #(self.#alias_members.retain(keep);)*
                self.#unknown.retain(keep);
            }

            fn settle(&mut self) {
                #(#krate::DotStore::settle(&mut self.#members);)*
            }

            fn dots(&self, each: &mut dyn FnMut(#krate::LocalDot)) {
                #(#krate::DotStore::dots(&self.#members, each);)*
                self.#unknown.dots(each);
            }

            fn carry(&self, wanted: &dyn Fn(#krate::LocalDot) -> bool, writer: &mut #krate::TreeWriter<'_>) {
                #(#carried)*
                self.#unknown.carry(wanted, writer);
            }

            fn is_bottom(&self) -> bool {
                #(#krate::DotStore::is_bottom(&self.#members) &&)* self.#unknown.is_empty()
            }

            fn shows(&self) -> bool {
                #(#krate::DotStore::shows(&self.#members) ||)* self.#unknown.shows()
            }

            fn prune(&mut self, node: #krate::Node<'_>) {
                for (name, field) in node.children() {
                    match name {
                        #(#named => #krate::DotStore::prune(&mut self.#members, field),)*
                        _ => {}
                    }
                }
            }

            fn check(node: #krate::Node<'_>) -> ::core::result::Result<(), #krate::Mismatch> {
                node.check_fields(|name, field| match name {
                    #(#named => <#types as #krate::DotStore>::check(field),)*
                    #(#alias_named => <#alias_types as #krate::DotStore>::check(field),)*
                    _ => ::core::result::Result::Ok(()),
                })
            }

            fn view<__S: #krate::serde::Serializer>(
                &self,
                serializer: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                use #krate::serde::ser::SerializeMap as _;
                let mut map = serializer.serialize_map(::core::option::Option::Some(#count))?;
                #(#shown)*
                map.end()
            }

            fn remembered(&self, sweep: &mut #krate::Sweep<'_>) {
                #(#remembered)*
            }

            fn conflicts(&self, disputes: &mut #krate::Disputes<'_>) {
                #(disputes.below(#krate::Plain::from(#all_names), |disputes| {
                    #krate::DotStore::conflicts(&self.#members, disputes);
                });)*
            }

            fn plain(&self) -> #krate::Plain {
                #krate::Plain::Map(::core::iter::FromIterator::from_iter([
                    #((#krate::Plain::from(#all_names), #plains),)*
                ]))
            }

            fn look(&self, look: #krate::Look<'_>) -> #krate::Seen {
                #krate::look_at_fields(look, &[#((#all_names, &[#old_names])),*], |name, look| match name {
                    #(#all_names => #looks,)*
                    _ => ::core::unreachable!("only fields are named"),
                })
            }

            fn changed(&self, before: &#krate::Seen, gathered: &mut #krate::Gathered) {
                gathered.fields(before, |name, seen, gathered| match name {
                    #(#all_names => #changes,)*
                    _ => {}
                });
            }
        }
    }
}

fn handle(schema: &Schema) -> Tokens {
    let (visibility, state, handle) = (&schema.visibility, state_ident(schema), handle_ident(schema));
    let (_, arguments, conditions) = schema.generics.split_for_impl();
    let mut generics = schema.generics.clone();
    generics.params.insert(0, syn::parse_quote!('a));
    let (implemented, handle_arguments, _) = generics.split_for_impl();
    let fields = schema.fields.iter().map(|field| {
        let Field { member, method, visibility, replicated, name, .. } = field;
        let doc = format!("Write access to `{method}`.");
        let narrowed = if field.aliases.is_empty() {
            quote!(field::<#replicated>(#name, |state| &mut state.#member))
        } else {
            let (members, olds): (Vec<_>, Vec<_>) = aliases(schema, field).unzip();
            quote!(renamed_field::<#replicated, _>(#name, |state| {
                (&mut state.#member, [#((#olds, &mut state.#members)),*])
            }))
        };
        quote! {
            #[doc = #doc]
            #[allow(dead_code)]
            #visibility fn #method(&mut self) -> <#replicated as ::tombolo_crdt::Crdt>::Mut<'_> {
                self.0.#narrowed
            }
        }
    });
    let doc = format!("Write access to a [`{}`] inside one transaction.", schema.ident);
    quote! {
        #[doc = #doc]
        #visibility struct #handle #generics (::tombolo_crdt::Mut<'a, #state #arguments>) #conditions;

        impl #implemented ::core::convert::From<::tombolo_crdt::Mut<'a, #state #arguments>>
            for #handle #handle_arguments #conditions
        {
            fn from(handle: ::tombolo_crdt::Mut<'a, #state #arguments>) -> Self {
                Self(handle)
            }
        }

        impl #implemented ::core::ops::Deref for #handle #handle_arguments #conditions {
            type Target = #state #arguments;

            fn deref(&self) -> &#state #arguments {
                &self.0
            }
        }

        impl #implemented #handle #handle_arguments #conditions {
            #(#fields)*
        }
    }
}

fn crdt(schema: &Schema) -> Tokens {
    let (ident, type_name) = (&schema.ident, &schema.type_name);
    let (state, handle) = (state_ident(schema), handle_ident(schema));
    let (implemented, arguments, conditions) = schema.generics.split_for_impl();
    let replicated = schema.fields.iter().map(|field| &field.replicated);
    let mut handle_generics = schema.generics.clone();
    handle_generics.params.insert(0, syn::parse_quote!('a));
    let (_, handle_arguments, _) = handle_generics.split_for_impl();
    let parameters = schema.replicated_parameters();
    let name = if parameters.is_empty() {
        quote!(::tombolo_crdt::alloc::borrow::Cow::Borrowed(#type_name))
    } else {
        let names = quote!(#(<#parameters as ::tombolo_crdt::Crdt>::type_name()),*);
        quote!(::tombolo_crdt::alloc::borrow::Cow::Owned(
            ::tombolo_crdt::alloc::format!("{}<{}>", #type_name, [#names].join(", "))
        ))
    };
    quote! {
        impl #implemented ::tombolo_crdt::Crdt for #ident #arguments #conditions {
            type State = #state #arguments;
            type Mut<'a> = #handle #handle_arguments;

            const REMOVABLE: bool = true #(&& <#replicated as ::tombolo_crdt::Crdt>::REMOVABLE)*;

            fn type_name() -> ::tombolo_crdt::alloc::borrow::Cow<'static, str> {
                #name
            }
        }
    }
}
