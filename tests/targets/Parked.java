// SPDX-License-Identifier: Apache-2.0
import java.util.concurrent.locks.LockSupport;

/** Threads that park, sleep and wait for a monitor, until the end of stdin. */
public class Parked {
    private static final Object MONITOR = new Object();

    private static void block(int number) {
        try {
            switch (number % 3) {
            case 0:
                for (;;)
                    LockSupport.park();
            case 1:
                Thread.sleep(1L << 40);
                break;
            default:
                synchronized (MONITOR) {
                    for (;;)
                        MONITOR.wait();
                }
            }
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    public static void main(String[] args) throws Exception {
        for (int i = 0; i < Integer.parseInt(args[0]); i++) {
            int number = i;
            Thread thread = new Thread(() -> block(number), "parked-" + i);
            thread.setDaemon(true);
            thread.start();
        }
        Thread.sleep(500);
        System.out.println("ready");
        while (System.in.read() >= 0)
            ;
    }
}
