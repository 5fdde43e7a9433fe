// Sends events as kafkajs does by itself: node send.js BOOTSTRAP TOPIC CODEC NAME COUNT
// With a TOPIC of @FILE the lines of the file are sent one by one: topic, key and value, divided by tabs.
const { readFileSync } = require("node:fs");
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require("kafkajs");
const lz4 = require("lz4js");
const { ZstdCodec } = require("zstd-codec");

const zstd = new Promise((resolve) => ZstdCodec.run((loaded) => resolve(new loaded.Simple())));
CompressionCodecs[CompressionTypes.Snappy] = require("kafkajs-snappy");
// Those that kafkajs recommends are native modules for old Nodes.
CompressionCodecs[CompressionTypes.LZ4] = () => ({ compress: async ({ buffer }) => toFrame(buffer) });
CompressionCodecs[CompressionTypes.ZSTD] = () => ({ compress: async ({ buffer }) => Buffer.from((await zstd).compress(buffer)) });

// One LZ4 block, up to 4 MB, depends on no other. lz4js does not say so, and Kafka requires it; 0x73 is the header's checksum then.
function toFrame(buffer) {
  const frame = Buffer.from(lz4.compress(buffer));
  frame.set([0x60, 0x70, 0x73], 4);
  return frame;
}

const [bootstrap, topic, codec, name, count] = process.argv.slice(2);
const compression = {
  none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD,
}[codec];

async function sendLines(producer, path) {
  for (const line of readFileSync(path, "utf8").trim().split("\n")) {
    const [to, key, text] = line.split("\t");
    const value = text.replace('"event_time":0', `"event_time":${Date.now()}`);
    await producer.send({ topic: to, compression, messages: [{ key, value }] });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function main() {
  const producer = new Kafka({ clientId: name, brokers: [bootstrap], logLevel: logLevel.ERROR }).producer();
  await producer.connect();
  if (topic.startsWith("@")) {
    await sendLines(producer, topic.slice(1));
    await producer.disconnect();
    return;
  }
  const messages = [];
  for (let number = 0; number < Number(count); number++) {
    const user = `${name}-${number % 50}`;
    const event = {
      event_id: `${name}-${number}`, event_type: "view", event_time: Date.now(), user_id: user, product_id: name,
    };
    messages.push({ key: user, value: JSON.stringify(event) });
  }
  await producer.send({ topic, compression, messages });
  await producer.disconnect();
}

main().catch((error) => { console.error(error); process.exit(1); });
