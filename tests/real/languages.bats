#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Run times of languages, with threads, processes and collectors of their own, do the same with
# and without us.
# bats file_tags=area:host

setup() {
	load ../helpers/common
	common_setup
	load ../helpers/real
	real_setup
}

teardown() {
	common_teardown
}

# Asks the server of a living program, which prints its port as "port N", some times.
ask_server() {
	local at number
	wait_until grep -q '^port ' "$out"
	at="$(sed -n 's/^port //p' "$out")"
	for number in {1..20}; do
		run -0 curl -q -s --noproxy '*' --max-time "$TESTS_PATIENCE" "http://127.0.0.1:$at/$number"
		assert_output "answer to /$number"
	done
}

# Starts a server, asks it, and scrapes it before and after: NAME COMMAND...
scrape_server() {
	start_program "$@"
	wait_until grep -q '^port ' "$out"
	scrape_program "$1"
	ask_server
	scrape_program "$1"
}

# bats test_tags=program,trap:T60
@test "python3 with threads, forks, subprocesses and exceptions" {
	unchanged_status 1 /usr/bin/python3 -c '
import concurrent.futures, ctypes, json, multiprocessing, os, sqlite3, subprocess, sys, zlib
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(sum(pool.map(lambda n: len(zlib.compress(bytes(n))), range(2000))))
pid = os.fork()
if pid == 0:
    os._exit(7)
print(os.waitpid(pid, 0)[1] >> 8)
print(subprocess.run(["/bin/echo", "a child"], capture_output=True).stdout)
with multiprocessing.get_context("fork").Pool(3) as pool:
    print(pool.map(abs, range(-50, 50)))
json.dump([{"n": n} for n in range(1000)], open("file", "w"))
db = sqlite3.connect("db")
db.execute("create table t (a)")
db.executemany("insert into t values (?)", [(n,) for n in range(1000)])
db.commit()
print(db.execute("select sum(a) from t").fetchone(), ctypes.CDLL(None).abs(-3))
print(os.open("/dev/null", os.O_RDONLY))
sys.exit("an error")'
	assert_counted python3 echo
}

# bats test_tags=program,scraped
@test "a python3 server with a thread for each request is scraped" {
	cat >server.py <<-'EOF'
		import http.server, threading
		class Handler(http.server.BaseHTTPRequestHandler):
		    def do_GET(self):
		        self.send_response(200)
		        self.end_headers()
		        self.wfile.write(b"answer to " + self.path.encode())
		    def log_message(self, *words):
		        pass
		server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
		threading.Thread(target=server.serve_forever, daemon=True).start()
		print("port", server.server_address[1], flush=True)
		input()
	EOF
	scrape_server server.py /usr/bin/python3 server.py
	# the server's thread, and one for each of 20 requests
	assert_metric 'promshim_thread_starts_total{program="server.py"}' -eq 21
	go_on
	finish
	assert_equal "$status" 0
	assert_equal "$(<"$err")" ""
}

# bats test_tags=program,scraped
@test "perl with forks, pipes, alarms and many strings" {
	unchanged_status 4 perl -e '
		my %h = map { $_ => "x" x $_ } 1 .. 2000;
		print scalar(keys %h), " ", length(join "", values %h), "\n";
		open(my $pipe, "-|", "echo through; exit 3") or die; print <$pipe>; close $pipe; print $? >> 8, "\n";
		if (my $pid = fork) { waitpid $pid, 0; print $? >> 8, "\n" } else { exit 9 }
		open(my $file, ">", "file"); print $file join("\n", sort { $a <=> $b } keys %h); close $file;
		warn "a warning"; eval { die { code => 5 } }; print $@->{code}, fileno(STDERR), "\n";
		$SIG{ALRM} = sub { print "alarm\n"; exit 4 }; alarm 1; select undef, undef, undef, 10;'
	start_program perl perl -e '$| = 1; print "up\n"; <STDIN>; my @l = map { "text $_" } 1 .. 9999; print "done\n"; <STDIN>; exit 6'
	expect up
	scrape_program perl
	go_on
	expect done
	scrape_program perl
	assert_metric 'promshim_malloc_live_blocks{program="perl"}' -gt 9999
	go_on
	finish
	assert_equal "$status" 6
}

# bats test_tags=program,scraped
@test "ruby with threads, forks and collections" {
	need_subject ruby
	local library="$SUBJECTS_DIR/ruby/usr/lib"
	local -a compiled=("$library"/*/ruby/3.1.0)
	export RUBYLIB="$library/ruby/3.1.0:${compiled[0]}:$library/ruby/vendor_ruby"
	unchanged_status 3 "$SUBJECTS_DIR/ruby/run" ruby3.1 -e '
		require "digest"; require "json"
		puts (1..8).map { |n| Thread.new { (1..2000).map { |i| (n * i).to_s }.join.size } }.sum(&:value)
		20000.times { "x" * 50 }; GC.start; GC.compact if GC.respond_to?(:compact)
		puts Process.wait2(fork { exit 7 })[1].exitstatus; puts `echo through; exit 4`, $?.exitstatus
		puts Digest::SHA256.hexdigest("x" * 100000), Fiber.new { Fiber.yield 1; 2 }.resume, File.open("file", "w") { |f| f.fileno }
		puts Ractor.new { 6 * 7 }.take if false; File.write("file", JSON.generate((1..999).to_a))
		begin; raise "raised"; rescue => e; puts e.message; end; trap("USR1") { puts "trapped" }; Process.kill("USR1", $$)
		at_exit { puts "the end" }; $stderr.puts "an error"; exit 3'
	assert_counted ruby3.1
	start_program ruby3.1 "$SUBJECTS_DIR/ruby/run" ruby3.1 -e '
		q = Queue.new; t = 5.times.map { Thread.new { q.pop } }; $stdout.sync = true; puts "up"
		gets; @all = (1..9999).map { |i| "a string of more than forty bytes, number #{i}" }; puts "done"; gets; 5.times { q << 1 }; t.each(&:join); exit 5'
	expect up
	scrape_program ruby3.1
	# five of the program; with it those that ruby keeps for itself
	assert_metric 'promshim_threads{program="ruby3.1"}' -ge 5
	go_on
	expect done
	scrape_program ruby3.1
	assert_metric 'promshim_malloc_live_blocks{program="ruby3.1"}' -gt 9999
	go_on
	finish
	assert_equal "$status" 5
}

node_script='
	const { Worker, isMainThread, parentPort } = require("worker_threads");
	const fs = require("fs"), zlib = require("zlib"), crypto = require("crypto"), cp = require("child_process");
	if (!isMainThread) { parentPort.postMessage(require("zlib").gzipSync(Buffer.alloc(99999)).length); return; }
	const all = [1, 2, 3].map(() => new Promise((done) => new Worker(__filename).on("message", done)));
	all.push(new Promise((done) => crypto.pbkdf2("a", "b", 9999, 16, "sha256", (e, key) => done(key.toString("hex")))));
	all.push(new Promise((done) => fs.readFile(__filename, (e, text) => done(text.length))));
	all.push(new Promise((done) => cp.exec("echo through; exit 3", (e, text) => done(e.code + text))));
	Promise.all(all).then((values) => {
		console.log(values, cp.spawnSync("cat", { input: "input" }).stdout.toString());
		fs.writeFileSync("file", JSON.stringify(Array.from({ length: 30000 }, (_, i) => ({ i }))));
		console.error("an error"); console.log(fs.openSync("file") > 0); process.exitCode = 5;
	});'

# Debian's node reads parts of itself from /usr/share: it gets its own in a mount namespace.
# bats test_tags=program,scraped,trap:T54,trap:T60
@test "node with workers, a pool, children and a server" {
	need_subject node
	local -a node=(unshare -m sh -c 'mount --bind "$0/usr/share" /usr/share && exec "$0/run" node "$@"' "$SUBJECTS_DIR/node")
	mkdir given
	echo "$node_script" >given/script.js
	unchanged_status 5 "${node[@]}" script.js
	assert_counted script.js
	cat >server.js <<-'EOF'
		const server = require("http").createServer((request, answer) => answer.end("answer to " + request.url));
		server.listen(0, "127.0.0.1", () => console.log("port " + server.address().port));
		process.stdin.on("data", () => process.exit(4));
	EOF
	scrape_server server.js "${node[@]}" server.js
	assert_metric 'promshim_threads{program="server.js"}' -ge 4
	go_on
	finish
	assert_equal "$status" 4
}

# A fault that the JVM turns into an exception, threads, collections, and a child.
java_program='
	import java.util.*; import java.util.concurrent.*; import java.util.stream.*;
	public class Program {
		static class Box { int value; }
		static int read(Box box) { return box.value; }
		static int deep(int n) { return deep(n + 1) + 1; }
		public static void main(String[] args) throws Exception {
			ExecutorService pool = Executors.newFixedThreadPool(8);
			List<Future<Long>> parts = new ArrayList<>();
			for (int n = 0; n < 32; n++) parts.add(pool.submit(() -> IntStream.range(0, 100000).mapToObj(Integer::toString).mapToLong(String::length).sum()));
			long sum = 0; for (Future<Long> part : parts) sum += part.get();
			pool.shutdown(); System.out.println(sum);
			Box box = new Box(); int faults = 0;
			for (int i = 0; i < 50000; i++) try { read(i % 100 == 99 ? null : box); } catch (NullPointerException e) { faults++; }
			System.out.println(faults);
			try { deep(0); } catch (StackOverflowError e) { System.out.println("overflow"); }
			for (int i = 0; i < 300; i++) { byte[] garbage = new byte[1 << 20]; garbage[i] = 1; } System.gc();
			Process child = new ProcessBuilder("sh", "-c", "echo through; exit 3").start();
			System.out.print(new String(child.getInputStream().readAllBytes())); System.out.println(child.waitFor());
			java.nio.file.Files.writeString(java.nio.file.Path.of("file"), "written");
			Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("the end")));
			System.err.println("an error"); System.exit(6);
		}
	}'

# bats test_tags=program,scraped,trap:T46,trap:T54,trap:T60
@test "a JVM with threads, collections, faults and a server" {
	need_subject java
	local java="$SUBJECTS_DIR"/java/usr/lib/jvm/java-17-openjdk-amd64/bin/java libraries
	libraries="$(sed -n 's/^LD_LIBRARY_PATH=//p' "$SUBJECTS_DIR/java/env")"
	mkdir given
	echo "$java_program" >given/Program.java
	unchanged_status 6 "$java" -Xmx200m -XX:-UsePerfData -Xshare:off Program.java
	cat >Server.java <<-'EOF'
		import com.sun.net.httpserver.*;
		public class Server {
		  public static void main(String[] args) throws Exception {
		    HttpServer server = HttpServer.create(new java.net.InetSocketAddress("127.0.0.1", 0), 0);
		    server.createContext("/", exchange -> {
		      byte[] answer = ("answer to " + exchange.getRequestURI()).getBytes();
		      exchange.sendResponseHeaders(200, answer.length); exchange.getResponseBody().write(answer); exchange.close();
		    });
		    server.start(); System.out.println("port " + server.getAddress().getPort()); System.in.read(); System.exit(4);
		  }
		}
	EOF
	scrape_server java "$java" -Xmx200m -XX:-UsePerfData Server.java
	# every thread of the JVM but the first came through us
	assert_metric 'promshim_threads{program="java"}' -gt 10
	assert_equal "$(metric 'promshim_threads{program="java"}')" "$(($(metric 'process_threads{program="java"}') - 1))"
	go_on
	finish
	assert_equal "$status" 4
}

# bats test_tags=program,scraped,trap:T60
@test "php with a child, a file and a server" {
	need_subject php
	mkdir given
	cat >given/script.php <<-'EOF'
		<?php
		$a = []; for ($i = 0; $i < 50000; $i++) $a["k$i"] = str_repeat("x", $i % 99); echo count($a), md5(serialize($a)), "\n";
		echo shell_exec("echo through"); $p = proc_open(["cat"], [["pipe", "r"], ["pipe", "w"]], $pipes);
		fwrite($pipes[0], "input\n"); fclose($pipes[0]); echo stream_get_contents($pipes[1]), proc_close($p), "\n";
		file_put_contents("file", json_encode(range(1, 999))); echo preg_replace("/(\w+) (\w+)/", "$2 $1", "hello world"), "\n";
		unset($a); gc_collect_cycles(); register_shutdown_function(fn() => print("the end\n"));
		try { intdiv(1, 0); } catch (DivisionByZeroError $e) { echo $e->getMessage(), "\n"; } fwrite(STDERR, "an error\n"); echo $undefined; exit(7);
	EOF
	unchanged_status 7 "$SUBJECTS_DIR/php/run" php8.2 -n script.php
	assert_counted script.php
	echo '<?php echo "answer to " . $_SERVER["REQUEST_URI"];' >answer.php
	hold_port
	local at="$held"
	release_port
	PROMSHIM_PROGRAM=php start_program php "$SUBJECTS_DIR/php/run" php8.2 -n -S "127.0.0.1:$at" answer.php
	wait_until grep -q started "$err"
	echo "port $at" >>"$out"
	scrape_program php
	ask_server
	scrape_program php
}
