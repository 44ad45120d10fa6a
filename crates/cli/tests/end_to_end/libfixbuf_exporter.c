/* An exporter that libfixbuf makes. It sends its messages over TCP to the port of 127.0.0.1 in its argument; without an argument, it
 * writes them to its output, for a program that encrypts them. On the error output, it prints what a collector has to count of them:
 * a line with prefix, direction, bytes, packets and flows for each. The connection ends when its input ends.
 *
 * 256 describes flows with a text and lists. Octets in lists belong to no flow. Then 256 and one of the templates in lists are withdrawn,
 * and 256 describes sampled biflows of IPv6. */
#include <fixbuf/public.h>
#include <stdio.h>
#include <string.h>

enum { FLOWS = 256, LISTED = 257, WITHDRAWN = 258, INTERFACES = 259, SAMPLERS = 260 };
enum { COUNT = 6000, RATE = 10, SELECTOR = 5 };
/* Of specifications: fields that are not sent. */
enum { IN_MEMORY = 1 };
/* What is added to an id for the template of the record in memory. */
enum { MEMORY = 1000 };

static GError *error;
static fbSession_t *session;
static fBuf_t *buffer;

static void check(int result) {
  if (result) return;
  fprintf(stderr, "libfixbuf: %s\n", error ? error->message : "no reason");
  exit(1);
}

static fbTemplate_t *make_template(fbInfoModel_t *model, fbInfoElementSpec_t *fields, int flags, int scopes) {
  fbTemplate_t *made = fbTemplateAlloc(model);
  check(fbTemplateAppendSpecArray(made, fields, flags, &error));
  if (scopes) fbTemplateSetOptionsScope(made, scopes);
  return made;
}

static void announce(fbInfoModel_t *model, int id, fbInfoElementSpec_t *memory, fbInfoElementSpec_t *sent, int scopes) {
  check(fbSessionAddTemplate(session, TRUE, MEMORY + id, make_template(model, memory, IN_MEMORY, scopes), &error));
  check(fbSessionAddTemplate(session, FALSE, id, make_template(model, sent, 0, scopes), &error));
}

static void send_record(int id, void *record, size_t size) {
  check(fBufSetInternalTemplate(buffer, MEMORY + id, &error) && fBufSetExportTemplate(buffer, id, &error));
  check(fBufAppend(buffer, record, size, &error));
}

static void set_text(fbVarfield_t *field, char *text) { field->buf = (uint8_t *)text, field->len = strlen(text); }

struct flow {
  uint64_t octets, packets;
  uint32_t source, destination, ingress, padding;
  fbVarfield_t user;
  fbBasicList_t counters;
  fbSubTemplateList_t applications;
  fbSubTemplateMultiList_t more;
};
static fbInfoElementSpec_t flow_fields[] = {
  {"octetDeltaCount", 8, 0}, {"packetDeltaCount", 8, 0}, {"sourceIPv4Address", 4, 0}, {"destinationIPv4Address", 4, 0},
  {"ingressInterface", 4, 0}, {"paddingOctets", 4, IN_MEMORY}, {"userName", 0, 0}, {"basicList", 0, 0},
  {"subTemplateList", 0, 0}, {"subTemplateMultiList", 0, 0}, FB_IESPEC_NULL};

struct listed {
  uint64_t octets;
  fbVarfield_t application;
};
static fbInfoElementSpec_t listed_fields[] = {{"octetDeltaCount", 8, 0}, {"applicationName", 0, 0}, FB_IESPEC_NULL};

/* Records in lists have the same id in memory. */
static fbTemplate_t *announce_listed(fbInfoModel_t *model, int id) {
  fbTemplate_t *listed = make_template(model, listed_fields, 0, 0);
  check(fbSessionAddTemplate(session, TRUE, id, listed, &error) && fbSessionAddTemplate(session, FALSE, id, listed, &error));
  return listed;
}

struct interface {
  uint32_t index, padding;
  fbVarfield_t name, description;
};
static fbInfoElementSpec_t interface_fields[] = {
  {"ingressInterface", 4, 0}, {"paddingOctets", 4, IN_MEMORY}, {"interfaceName", 0, 0}, {"interfaceDescription", 0, 0}, FB_IESPEC_NULL};

struct sampler {
  uint64_t selector;
  uint32_t interval, space;
  uint16_t algorithm, padding[3];
};
static fbInfoElementSpec_t sampler_fields[] = {
  {"selectorId", 8, 0}, {"samplingPacketInterval", 4, 0}, {"samplingPacketSpace", 4, 0}, {"selectorAlgorithm", 2, 0},
  {"paddingOctets", 6, IN_MEMORY}, FB_IESPEC_NULL};

struct biflow {
  uint64_t octets, packets, reverse_octets, reverse_packets, selector;
  uint8_t source[16], destination[16];
};
static fbInfoElementSpec_t biflow_fields[] = {
  {"octetDeltaCount", 8, 0}, {"packetDeltaCount", 8, 0}, {"reverseOctetDeltaCount", 8, 0}, {"reversePacketDeltaCount", 8, 0},
  {"selectorId", 8, 0}, {"sourceIPv6Address", 16, 0}, {"destinationIPv6Address", 16, 0}, FB_IESPEC_NULL};
/* In another order, and with fewer octets. */
static fbInfoElementSpec_t sent_biflow_fields[] = {
  {"destinationIPv6Address", 16, 0}, {"sourceIPv6Address", 16, 0}, {"selectorId", 8, 0}, {"reversePacketDeltaCount", 3, 0},
  {"reverseOctetDeltaCount", 4, 0}, {"packetDeltaCount", 3, 0}, {"octetDeltaCount", 4, 0}, FB_IESPEC_NULL};

/* Bytes, packets and flows. */
struct totals {
  uint64_t bytes, packets, flows;
};

static void add(struct totals *totals, uint64_t bytes, uint64_t packets) {
  totals->bytes += bytes, totals->packets += packets, totals->flows++;
}

static void print(const char *prefix, const char *direction, struct totals of) {
  fprintf(stderr, "%s %s %lu %lu %lu\n", prefix, direction, of.bytes, of.packets, of.flows);
}

static void send_interface(fbInfoModel_t *model) {
  announce(model, INTERFACES, interface_fields, interface_fields, 1);
  struct interface interface = {.index = 7};
  set_text(&interface.name, "ge-0/0/7");
  set_text(&interface.description, "to a customer, with a text that is longer than the name of the interface");
  send_record(INTERFACES, &interface, sizeof interface);
}

/* Not before flows without a sampler: the rate of a domain's only sampler applies to those, too. */
static void send_sampler(fbInfoModel_t *model) {
  announce(model, SAMPLERS, sampler_fields, sampler_fields, 1);
  struct sampler sampler = {.selector = SELECTOR, .interval = 1, .space = RATE - 1, .algorithm = 1};
  send_record(SAMPLERS, &sampler, sizeof sampler);
}

/* Flows into 192.0.2.0/24 and out of it, each with its lists. */
static void send_flows(fbInfoModel_t *model) {
  fbTemplate_t *listed = announce_listed(model, LISTED), *withdrawn = announce_listed(model, WITHDRAWN);
  announce(model, FLOWS, flow_fields, flow_fields, 0);
  struct totals in = {0}, out = {0};
  uint8_t user[300];
  memset(user, 'u', sizeof user);
  for (uint32_t number = 0; number < COUNT; number++) {
    uint32_t host = 0xc0000200 + number % 100, peer = 0xc6336400 + number % 250;
    int is_in = number % 3;
    struct flow flow = {.octets = 1000 + number, .packets = 1 + number % 9, .ingress = 7};
    flow.source = is_in ? peer : host, flow.destination = is_in ? host : peer;
    /* Also without any octet, and with a length in three octets. */
    flow.user.buf = user, flow.user.len = number % sizeof user;
    uint16_t elements = number % 4;
    uint64_t *counter = fbBasicListInit(&flow.counters, 3, fbInfoModelGetElementByName(model, "octetDeltaCount"), elements);
    for (int element = 0; element < elements; element++) counter[element] = 1 << 20;
    struct listed *of_list = fbSubTemplateListInit(&flow.applications, 3, LISTED, listed, elements);
    fbSubTemplateMultiListEntry_t *entry = fbSubTemplateMultiListInit(&flow.more, 3, 2);
    struct listed *of_entries[] = {fbSubTemplateMultiListEntryInit(&entry[0], LISTED, listed, 1),
                                   fbSubTemplateMultiListEntryInit(&entry[1], WITHDRAWN, withdrawn, 1)};
    for (int element = 0; element < elements + 2; element++) {
      struct listed *item = element < 2 ? of_entries[element] : &of_list[element - 2];
      item->octets = 1 << 20;
      set_text(&item->application, "an application");
    }
    send_record(FLOWS, &flow, sizeof flow);
    add(is_in ? &in : &out, flow.octets, flow.packets);
    fbBasicListClear(&flow.counters);
    fbSubTemplateListClear(&flow.applications);
    fbSubTemplateMultiListClear(&flow.more);
  }
  print("192.0.2.0/24", "in", in);
  print("192.0.2.0/24", "out", out);
}

/* Biflows that hosts in 2001:db8:1::/64 have begun, of which one packet in ten was observed. */
static void send_biflows(fbInfoModel_t *model) {
  announce(model, FLOWS, biflow_fields, sent_biflow_fields, 0);
  struct totals in = {0}, out = {0};
  for (int number = 0; number < COUNT; number++) {
    struct biflow biflow = {.octets = 40 + number, .packets = 1 + number % 5, .reverse_octets = 9000 + number, .reverse_packets = 6,
                            .selector = SELECTOR, .source = {0x20, 1, 0xd, 0xb8, 0, 1}, .destination = {0x20, 1, 0xd, 0xb8, 0, 2}};
    biflow.source[15] = number, biflow.destination[15] = number;
    send_record(FLOWS, &biflow, sizeof biflow);
    add(&out, RATE * biflow.octets, RATE * biflow.packets);
    add(&in, RATE * biflow.reverse_octets, RATE * biflow.reverse_packets);
  }
  print("2001:db8:1::/64", "in", in);
  print("2001:db8:1::/64", "out", out);
}

int main(int count, char **arguments) {
  fbInfoModel_t *model = fbInfoModelAlloc();
  fbConnSpec_t to = {.transport = FB_TCP, .host = "127.0.0.1", .svc = arguments[1]};
  session = fbSessionAlloc(model);
  fbSessionSetDomain(session, 7);
  buffer = fBufAllocForExport(session, count > 1 ? fbExporterAllocNet(&to) : fbExporterAllocFP(stdout));
  send_interface(model);
  send_flows(model);
  check(fbSessionRemoveTemplate(session, FALSE, FLOWS, &error) && fbSessionRemoveTemplate(session, FALSE, WITHDRAWN, &error));
  send_sampler(model);
  send_biflows(model);
  check(fBufEmit(buffer, &error) && !fflush(stdout));
  fclose(stderr);
  while (getchar() != EOF) continue;
  fBufFree(buffer);
}
