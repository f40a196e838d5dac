// SPDX-License-Identifier: Apache-2.0
/*
 * Late COLLECTIONS: so many collections are asked for, while another thread is in a counted loop
 * that looks for no safepoint: all wait until it comes to one. It begins at a byte on stdin.
 */
public class Late {
	static volatile long sink;

	static long count(int steps) {
		long sum = 1;

		for (int i = 0; i < steps; i++)
			sum = sum * 31 + i;
		return sum;
	}

	public static void main(String[] args) throws Exception {
		int collections = Integer.parseInt(args[0]);

		for (int i = 0; i < 200; i++)
			sink += count(200000);
		System.out.println("ready");
		System.in.read();
		Thread late = new Thread(() -> {
			while (true)
				sink += count(50000000);
		});
		late.setDaemon(true);
		late.start();
		for (int i = 0; i < collections; i++) {
			Thread.sleep(20);
			System.gc();
		}
		System.out.println("done");
		while (System.in.read() >= 0)
			;
		System.exit(0);
	}
}
