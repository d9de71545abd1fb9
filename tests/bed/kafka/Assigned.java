// A consumer that assigns itself a partition and commits what it has read: none of Kafka's own programs does both.
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

class Assigned {
    // Bootstrap servers, group, topic, partition.
    public static void main(String[] args) {
        var properties = new Properties();
        properties.put("bootstrap.servers", args[0]);
        properties.put("group.id", args[1]);
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<>(properties, bytes, bytes)) {
            consumer.assign(List.of(new TopicPartition(args[2], Integer.parseInt(args[3]))));
            while (true) {
                consumer.poll(Duration.ofSeconds(1));
                consumer.commitSync();
            }
        }
    }
}
