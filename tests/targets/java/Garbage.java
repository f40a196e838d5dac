// SPDX-License-Identifier: Apache-2.0
import java.io.IOException;

/** Waits for a line, makes garbage for so many seconds, and waits for the end of its input. */
public class Garbage {
	private static Object[] kept = new Object[20000];

	public static void main(String[] args) throws IOException {
		System.out.println("ready");
		System.in.read();
		long end = System.nanoTime() + (long) (Double.parseDouble(args[0]) * 1e9);
		int i = 0;
		while (System.nanoTime() < end) {
			for (int j = 0; j < 1000; j++)
				kept[i++ % kept.length] = new byte[200 + i % 1000];
		}
		System.out.println("done");
		while (System.in.read() >= 0)
			continue;
	}
}
