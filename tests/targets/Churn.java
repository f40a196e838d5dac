// SPDX-License-Identifier: Apache-2.0
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Allocates in a loop until stdin ends. */
public class Churn {
    static long sum;

    static Map<String, List<Integer>> fill(int round) {
        Map<String, List<Integer>> lists = new HashMap<>();
        for (int i = 0; i < 1000; i++)
            lists.computeIfAbsent("key" + (i + round) % 100, key -> new ArrayList<>()).add(i);
        return lists;
    }

    static void churn() {
        for (int round = 0;; round++)
            for (List<Integer> list : fill(round).values())
                sum += list.stream().mapToInt(Integer::intValue).sum();
    }

    public static void main(String[] args) throws Exception {
        Thread worker = new Thread(Churn::churn);
        worker.setDaemon(true);
        worker.start();
        System.out.println("ready");
        while (System.in.read() >= 0)
            ;
    }
}
