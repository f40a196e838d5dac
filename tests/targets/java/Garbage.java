// SPDX-License-Identifier: Apache-2.0
import java.io.IOException;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;

/**
 * Waits for a line, makes garbage until so many collections have taken so many milliseconds in all,
 * and waits for the end of its input.
 */
public class Garbage {
	private static Object[] kept = new Object[20000];

	private static boolean hasCollected(long collections, long milliseconds) {
		long count = 0, length = 0;
		for (GarbageCollectorMXBean bean : ManagementFactory.getGarbageCollectorMXBeans()) {
			count += bean.getCollectionCount();
			length += bean.getCollectionTime();
		}
		return count >= collections && length >= milliseconds;
	}

	public static void main(String[] args) throws IOException {
		long collections = Long.parseLong(args[0]), milliseconds = Long.parseLong(args[1]);
		boolean isOver = hasCollected(collections, milliseconds);
		System.out.println("ready");
		System.in.read();
		for (int i = 0; !isOver; isOver = hasCollected(collections, milliseconds)) {
			for (int j = 0; j < 1000; j++)
				kept[i++ % kept.length] = new byte[200 + i % 1000];
		}
		System.out.println("done");
		while (System.in.read() >= 0)
			continue;
	}
}
