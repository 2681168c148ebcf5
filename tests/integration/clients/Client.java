import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Sends what each line of a file asks for, `METHOD PATH [FILE]`, and prints status and body of each answer. */
public class Client {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (String line : Files.readAllLines(Path.of(arguments[1]))) {
            List<String> parts = List.of(line.split(" "));
            BodyPublisher body =
                    parts.size() > 2 ? BodyPublishers.ofFile(Path.of(parts.get(2))) : BodyPublishers.noBody();
            HttpRequest request =
                    HttpRequest.newBuilder(URI.create(arguments[0] + parts.get(1)))
                            .header("Content-Type", "application/json")
                            .method(parts.get(0), body)
                            .build();
            var answer = client.send(request, BodyHandlers.ofString());
            System.out.println(answer.statusCode() + "\t" + answer.body());
        }
    }
}
