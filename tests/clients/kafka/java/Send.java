// Sends events as Kafka's own Java client does: java -cp JARS Send.java BOOTSTRAP TOPIC CODEC NAME COUNT
// With a name that ends in "-tx" in transactions of 100 events, each followed by one of 10 that is aborted.
// With a TOPIC of @FILE the lines of the file are sent one by one: topic, key and value, divided by tabs; those of a
// "-tx" in a transaction each, of which it prints the key and when it was to be committed.

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

public class Send {
    static void send(KafkaProducer<String, String> producer, String topic, String name, String id, int number) {
        String user = name + "-" + number % 50;
        String event = String.format(
            "{\"event_id\":\"%s\",\"event_type\":\"view\",\"event_time\":%d,\"user_id\":\"%s\",\"product_id\":\"%s\"}",
            id, System.currentTimeMillis(), user, name);
        producer.send(new ProducerRecord<>(topic, user, event));
    }

    static void sendLines(KafkaProducer<String, String> producer, String path, boolean transactional) throws Exception {
        for (String line : Files.readAllLines(Path.of(path))) {
            String[] parts = line.split("\t");
            if (transactional) producer.beginTransaction();
            String now = "\"event_time\":" + System.currentTimeMillis();
            String value = parts[2].replace("\"event_time\":0", now);
            producer.send(new ProducerRecord<>(parts[0], parts[1], value)).get();
            if (transactional) {
                System.out.println(parts[1] + " " + System.currentTimeMillis());
                producer.commitTransaction();
            }
            Thread.sleep(20);
        }
    }

    public static void main(String[] args) throws Exception {
        String topic = args[1], name = args[3];
        int count = Integer.parseInt(args[4]);
        boolean transactional = name.endsWith("-tx");
        Properties settings = new Properties();
        settings.put("bootstrap.servers", args[0]);
        settings.put("compression.type", args[2]);
        settings.put("key.serializer", StringSerializer.class.getName());
        settings.put("value.serializer", StringSerializer.class.getName());
        if (transactional) settings.put("transactional.id", name);
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings)) {
            if (transactional) producer.initTransactions();
            if (topic.startsWith("@")) {
                sendLines(producer, topic.substring(1), transactional);
                return;
            }
            for (int first = 0; first < count; first += 100) {
                if (transactional) producer.beginTransaction();
                for (int number = first; number < Math.min(first + 100, count); number++)
                    send(producer, topic, name, name + "-" + number, number);
                if (!transactional) continue;
                producer.commitTransaction();
                producer.beginTransaction();
                for (int number = 0; number < 10; number++)
                    send(producer, topic, name, name + "-aborted-" + first + "-" + number, number);
                producer.flush();
                producer.abortTransaction();
            }
        }
    }
}
