// SPDX-License-Identifier: Apache-2.0
// EchoServer SOCKET: answers every line with the same line. The end of stdin ends it.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;

class EchoServer {
	static void serve(SocketChannel connection) {
		try (connection) {
			BufferedReader in = new BufferedReader(
				new InputStreamReader(Channels.newInputStream(connection)));
			OutputStream out = Channels.newOutputStream(connection);
			for (String line; (line = in.readLine()) != null;) {
				StringBuilder answer = new StringBuilder();
				for (char letter : line.toCharArray())
					answer.append(String.valueOf(letter));
				out.write(answer.append('\n').toString().getBytes());
				out.flush();
			}
		} catch (Exception error) {
			error.printStackTrace();
		}
	}

	public static void main(String[] args) throws Exception {
		ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
		listener.bind(UnixDomainSocketAddress.of(args[0]));
		Thread accepting = new Thread(() -> {
			try {
				while (true) {
					SocketChannel connection = listener.accept();
					new Thread(() -> serve(connection)).start();
				}
			} catch (Exception error) {
				error.printStackTrace();
			}
		});
		accepting.setDaemon(true);
		accepting.start();
		System.out.println("ready");
		while (System.in.read() >= 0)
			;
		System.exit(0);
	}
}
