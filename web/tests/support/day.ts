// A day of traffic that looks like one, as NetFlow v5 with export times of the past; and single flows.
import { createSocket } from "node:dgram";

const MINUTE = 60_000;
const RECORDS = 30;
const PORTS = [443, 443, 443, 443, 443, 80, 22, 53, 8443, 993, 3478];
/** Between two flushes, a prefix has at most 128 minutes that are long ago. */
const MINUTES_AT_ONCE = 80;

/** Random numbers from 0 to 1, the same ones each time. */
function randoms(): () => number {
  let seed = 7;
  return () => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
    return seed / 0x7fffffff;
  };
}

/** Sends its last minutes from an address to a port; `network` has the first three octets of the own addresses. */
export async function sendDay(
  from: string,
  port: number,
  network: [number, number, number],
  minutes = 1500,
): Promise<void> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, from, resolve));
  const random = randoms();
  const end = Math.floor(Date.now() / MINUTE);
  for (let step = 0; step <= minutes; step += 1) {
    const datagram = minuteOf(end - minutes + step, step * RECORDS, network, random);
    await new Promise((resolve) => socket.send(datagram, port, "127.0.0.1", resolve));
    if (step % MINUTES_AT_ONCE === 0) await new Promise((resolve) => setTimeout(resolve, 1200));
  }
  socket.close();
}

function minuteOf(minute: number, sequence: number, network: number[], random: () => number): Buffer {
  const datagram = Buffer.alloc(24 + 48 * RECORDS);
  datagram.writeUInt16BE(5, 0);
  datagram.writeUInt16BE(RECORDS, 2);
  datagram.writeUInt32BE(100 * MINUTE, 4);
  datagram.writeUInt32BE(Math.min(minute * 60 + 30, Math.floor(Date.now() / 1000)), 8);
  datagram.writeUInt32BE(sequence, 16);
  const busy = 0.35 + 0.65 * Math.max(0, Math.sin((((minute / 60) % 24) / 24 - 0.25) * 2 * Math.PI));
  for (let index = 0; index < RECORDS; index += 1) writeRecord(datagram, 24 + 48 * index, network, busy, random);
  return datagram;
}

function writeRecord(datagram: Buffer, at: number, network: number[], busy: number, random: () => number): void {
  const remote = Math.floor(random() ** 2.5 * 40);
  const addresses = [
    [203, 0, 113, 10 + remote],
    [...network, 1 + Math.floor(random() ** 2 * 60)],
  ];
  const service = PORTS[Math.floor(random() * PORTS.length)] ?? 443;
  const isInward = random() < 0.6;
  const bytes = Math.floor((isInward ? 3e8 : 1e8) * busy * (0.3 + random()) * (service === 443 ? 1.6 : 0.5));
  const ends = [service, 40_000 + Math.floor(random() * 20_000)];
  if (!isInward) {
    addresses.reverse();
    ends.reverse();
  }
  addresses.flat().forEach((octet, index) => {
    datagram.writeUInt8(octet, at + index);
  });
  datagram.writeUInt16BE(isInward ? 3 : 4, at + 12);
  datagram.writeUInt16BE(isInward ? 4 : 3, at + 14);
  datagram.writeUInt32BE(Math.ceil(bytes / (isInward ? 1100 : 700)), at + 16);
  datagram.writeUInt32BE(bytes, at + 20);
  datagram.writeUInt32BE(99 * MINUTE, at + 24);
  datagram.writeUInt32BE(100 * MINUTE - 1000, at + 28);
  datagram.writeUInt16BE(ends[0] ?? 0, at + 32);
  datagram.writeUInt16BE(ends[1] ?? 0, at + 34);
  datagram.writeUInt8(0x1b, at + 37);
  datagram.writeUInt8(service === 53 || service === 3478 ? 17 : 6, at + 38);
  datagram.writeUInt16BE(isInward ? 64_501 + (remote % 12) : 64_500, at + 40);
  datagram.writeUInt16BE(isInward ? 64_500 : 64_501 + (remote % 12), at + 42);
}

/** Sends flows of now to an address, each with this many octets in a packet. */
export async function sendFlows(from: string, port: number, to: number[], octets: number[]): Promise<void> {
  const datagram = Buffer.alloc(24 + 48 * octets.length);
  datagram.writeUInt16BE(5, 0);
  datagram.writeUInt16BE(octets.length, 2);
  datagram.writeUInt32BE(100 * MINUTE, 4);
  datagram.writeUInt32BE(Math.floor(Date.now() / 1000), 8);
  octets.forEach((octets, index) => {
    const at = 24 + 48 * index;
    [198, 18, 0, index + 1, ...to].forEach((octet, place) => {
      datagram.writeUInt8(octet, at + place);
    });
    datagram.writeUInt32BE(1, at + 16);
    datagram.writeUInt32BE(octets, at + 20);
    datagram.writeUInt32BE(99 * MINUTE, at + 24);
    datagram.writeUInt32BE(99 * MINUTE, at + 28);
    datagram.writeUInt8(17, at + 38);
  });
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, from, resolve));
  await new Promise((resolve) => socket.send(datagram, port, "127.0.0.1", resolve));
  socket.close();
}
