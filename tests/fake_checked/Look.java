import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.common.TopicPartition;

/** Prints group, topic, partition, commit and log end of groups `g` and `h` at each port, as Kafka's own client reads them. */
public class Look {
    public static void main(String[] ports) throws Exception {
        for (String port : ports) {
            Map<String, Object> config = Map.of("bootstrap.servers", "127.0.0.1:" + port);
            try (Admin admin = Admin.create(config)) {
                var all = new ListConsumerGroupOffsetsSpec();
                var commits = admin.listConsumerGroupOffsets(Map.of("g", all, "h", all)).all().get();
                for (var group : new TreeMap<>(commits).entrySet()) {
                    Map<TopicPartition, OffsetSpec> latest = new HashMap<>();
                    group.getValue().keySet().forEach(p -> latest.put(p, OffsetSpec.latest()));
                    var ends = admin.listOffsets(latest).all().get();
                    for (var p : group.getValue().keySet()) {
                        System.out.println(String.join(" ", port, group.getKey(), p.toString(),
                            "" + group.getValue().get(p).offset(), "" + ends.get(p).offset()));
                    }
                }
            }
        }
    }
}
