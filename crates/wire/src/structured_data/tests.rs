//! Lists as RFC 6313 draws them, built octet by octet, and lists that mean harm.

use std::collections::HashMap;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

const BASIC_LIST: u16 = 291;
const SUB_TEMPLATE_LIST: u16 = 292;
const SUB_TEMPLATE_MULTI_LIST: u16 = 293;

#[derive(Default)]
struct Known(HashMap<u16, Vec<(u16, u16)>>);

impl Templates for Known {
    fn find(&self, template: u16) -> Option<&dyn RecordLayout> {
        self.0.get(&template).map(|fields| fields as &dyn RecordLayout)
    }
}

impl RecordLayout for Vec<(u16, u16)> {
    fn field(&self, index: usize) -> Option<(ElementId, u16)> {
        self.get(index).map(|&(id, length)| (ElementId { enterprise: 0, id }, length))
    }
}

fn known(templates: &[(u16, &[(u16, u16)])]) -> Known {
    Known(templates.iter().map(|(id, fields)| (*id, fields.to_vec())).collect())
}

/// The field as text: `name=value`, lists as `name=[(..) (..)]`.
fn shown(id: u16, octets: &[u8], templates: &Known) -> String {
    let mut text = String::new();
    visit_field(ElementId { enterprise: 0, id }, false, octets, templates, &mut |field| show(field, &mut text));
    text
}

fn show(field: &Field<'_>, text: &mut String) {
    if let Value::List(list) = field.value {
        write!(text, "{}=[", field.name).unwrap();
        list.visit(&mut |item| {
            text.push('(');
            item.visit(&mut |field| {
                show(field, text);
                text.push(' ');
            });
            text.push(')');
        });
        text.push(']');
    } else {
        write!(text, "{}={:?}", field.name, field.value).unwrap();
    }
}

fn relation(id: u16, octets: &[u8]) -> Relation {
    let data_type = lookup(ElementId { enterprise: 0, id }).unwrap().data_type;
    StructuredList::open(data_type, octets, &NoTemplates, 1).unwrap().relation()
}

/// RFC 6313, section 8.1: a multicast packet went out by the interfaces 1, 4 and 8.
#[test]
fn the_basic_list_of_the_multicast_example_has_three_interfaces() {
    let list = [3, 0, 14, 0, 4, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 8];
    let expected = "basicList=[(egressInterface=1 )(egressInterface=4 )(egressInterface=8 )]";
    assert_eq!(shown(BASIC_LIST, &list, &Known::default()), expected);
    assert_eq!(relation(BASIC_LIST, &list), Relation::AllOf);
}

/// RFC 6313, section 8.2: the same of a load-balanced flow; only the relation differs.
#[test]
fn the_relation_of_the_load_balancing_example_is_exactly_one_of() {
    let list = [1, 0, 14, 0, 4, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 8];
    assert_eq!(relation(BASIC_LIST, &list), Relation::ExactlyOneOf);
    assert_eq!(relation(BASIC_LIST, &[0xff, 0, 14, 0, 4]), Relation::Undefined);
}

#[test]
fn a_basic_list_may_be_of_an_enterprise_and_of_variable_length() {
    let list = [4, 0x80 | 0x2f, 0xcb, 0xff, 0xff, 0, 0, 0, 9, 1, b'a', 0, 255, 0, 2, b'b', b'c'];
    let expected = "basicList=[(appHTTPHost=\"a\" )(appHTTPHost=\"\" )(appHTTPHost=\"bc\" )]";
    assert_eq!(shown(BASIC_LIST, &list, &Known::default()), expected);
}

#[test]
fn an_empty_list_is_a_list() {
    assert_eq!(shown(BASIC_LIST, &[3, 0, 14, 0, 4], &Known::default()), "basicList=[]");
    assert_eq!(shown(SUB_TEMPLATE_MULTI_LIST, &[3], &Known::default()), "subTemplateMultiList=[]");
}

#[test]
fn a_sub_template_list_has_records_of_its_template() {
    let templates = known(&[(257, &[(8, 4), (7, 2), (82, VARIABLE_LENGTH)])]);
    let list = [4, 1, 1, 192, 0, 2, 1, 0, 80, 2, b'e', b'0', 192, 0, 2, 2, 1, 187, 0];
    let expected = "subTemplateList=[\
        (sourceIPv4Address=192.0.2.1 sourceTransportPort=80 interfaceName=\"e0\" )\
        (sourceIPv4Address=192.0.2.2 sourceTransportPort=443 interfaceName=\"\" )]";
    assert_eq!(shown(SUB_TEMPLATE_LIST, &list, &templates), expected);
}

#[test]
fn a_sub_template_multi_list_has_groups_of_records() {
    let templates = known(&[(257, &[(4, 1)]), (258, &[(7, 2)])]);
    let list = [3, 1, 1, 0, 6, 6, 17, 1, 2, 0, 6, 0, 80, 1, 1, 0, 4];
    let expected = "subTemplateMultiList=[(protocolIdentifier=6 )(protocolIdentifier=17 )(sourceTransportPort=80 )]";
    assert_eq!(shown(SUB_TEMPLATE_MULTI_LIST, &list, &templates), expected);
}

#[test]
fn lists_nest_across_their_kinds() {
    let templates = known(&[(257, &[(10, 4), (BASIC_LIST, VARIABLE_LENGTH)])]);
    let list = [3, 1, 1, 0, 17, 0, 0, 0, 9, 8, 3, 0, 4, 0, 1, 6, 17, 1];
    let expected = "subTemplateMultiList=[(ingressInterface=9 basicList=[(protocolIdentifier=6 )(protocolIdentifier=17 )\
        (protocolIdentifier=1 )] )]";
    assert_eq!(shown(SUB_TEMPLATE_MULTI_LIST, &list, &templates), expected);
}

#[test]
fn a_list_of_an_unknown_template_shows_as_octets() {
    assert_eq!(shown(SUB_TEMPLATE_LIST, &[3, 1, 1, 6], &Known::default()), "subTemplateList=[03, 01, 01, 06]");
    let templates = known(&[(257, &[(4, 1)])]);
    let list = [3, 1, 1, 0, 5, 6, 9, 9, 0, 5, 6];
    assert!(!shown(SUB_TEMPLATE_MULTI_LIST, &list, &templates).contains('('));
}

#[test]
fn a_list_that_breaks_off_shows_as_octets() {
    let templates = known(&[(257, &[(8, 4), (7, 2)])]);
    let broken: [(u16, &[u8]); 10] = [
        (BASIC_LIST, &[]),
        (BASIC_LIST, &[3, 0, 14, 0]),
        (BASIC_LIST, &[3, 0, 14, 0, 4, 0, 0, 0, 1, 0]),
        (BASIC_LIST, &[3, 0x80, 14, 0, 4, 0, 0]),
        (BASIC_LIST, &[3, 0, 82, 0xff, 0xff, 255, 1]),
        (SUB_TEMPLATE_LIST, &[3, 1]),
        (SUB_TEMPLATE_LIST, &[3, 1, 1, 192, 0, 2, 1, 0]),
        (SUB_TEMPLATE_MULTI_LIST, &[3, 1, 1, 0]),
        (SUB_TEMPLATE_MULTI_LIST, &[3, 1, 1, 0, 3, 192]),
        (SUB_TEMPLATE_MULTI_LIST, &[3, 1, 1, 0, 11, 192, 0, 2, 1, 0, 80]),
    ];
    for (id, octets) in broken {
        assert!(shown(id, octets, &templates).ends_with(&format!("={octets:02x?}")), "{id} {octets:?}");
    }
}

#[test]
fn items_that_take_no_octets_are_refused() {
    let templates = known(&[(257, &[]), (258, &[(4, 0)]), (259, &[(4, 1), (5, 0)])]);
    assert!(!shown(BASIC_LIST, &[3, 0, 14, 0, 0, 1], &templates).contains('('));
    for template in [1, 2, 3] {
        assert!(!shown(SUB_TEMPLATE_LIST, &[3, 1, template, 6, 6], &templates).contains('('), "{template}");
    }
}

#[test]
fn lists_below_the_deepest_level_stay_closed() {
    let mut list = vec![3, 0, 4, 0, 1, 6];
    for _ in 0..100 {
        list = [&[3, 1, 35, 0xff, 0xff, 255], &u16::try_from(list.len()).unwrap().to_be_bytes()[..], &list].concat();
    }
    let text = shown(BASIC_LIST, &list, &Known::default());
    assert_eq!(text.matches("basicList=[(").count(), usize::from(MAXIMUM_DEPTH));
    assert!(!text.contains("protocolIdentifier"));
}

/// A template that holds a list of records of that very template: the octets end, so the recursion does.
#[test]
fn a_template_inside_itself_ends_with_its_octets() {
    let templates = known(&[(257, &[(SUB_TEMPLATE_LIST, VARIABLE_LENGTH)])]);
    let list = [3, 1, 1, 8, 3, 1, 1, 4, 3, 1, 1, 0, 0];
    let text = shown(SUB_TEMPLATE_LIST, &list, &templates);
    assert!(text.starts_with("subTemplateList=[(subTemplateList=["), "{text}");
}

proptest! {
    #[test]
    fn any_octets_are_listed_in_an_effort_bounded_by_their_number(
        id in prop_oneof![Just(BASIC_LIST), Just(SUB_TEMPLATE_LIST), Just(SUB_TEMPLATE_MULTI_LIST)],
        octets in prop::collection::vec(prop_oneof![0u8..6, Just(35u8), Just(36), Just(37), Just(255), any::<u8>()], 0..600),
    ) {
        let templates = known(&[
            (257, &[(4, 1)]),
            (258, &[(BASIC_LIST, VARIABLE_LENGTH), (SUB_TEMPLATE_MULTI_LIST, VARIABLE_LENGTH)]),
            (259, &[(SUB_TEMPLATE_LIST, VARIABLE_LENGTH)]),
        ]);
        let text = shown(id, &octets, &templates);
        prop_assert!(text.matches('(').count() <= octets.len() * usize::from(MAXIMUM_DEPTH));
    }
}
