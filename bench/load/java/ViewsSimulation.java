import static io.gatling.javaapi.core.CoreDsl.constantUsersPerSec;
import static io.gatling.javaapi.core.CoreDsl.global;
import static io.gatling.javaapi.core.CoreDsl.scenario;
import static io.gatling.javaapi.http.HttpDsl.http;
import static io.gatling.javaapi.http.HttpDsl.status;

import io.gatling.javaapi.core.ScenarioBuilder;
import io.gatling.javaapi.core.Simulation;
import io.gatling.javaapi.http.HttpProtocolBuilder;
import java.util.concurrent.ThreadLocalRandom;

/** The same load as open_loop.py: viewers arrive at a constant rate, whatever the server does meanwhile. */
public class ViewsSimulation extends Simulation {
  private static final String KNOWN = System.getProperty("known");
  private static final double UNKNOWN_SHARE = 0.2;

  private final HttpProtocolBuilder api = http.baseUrl(System.getProperty("base")).shareConnections();

  private final ScenarioBuilder viewers =
      scenario("viewers")
          .exec(
              http("/v1/videos/{id}/views")
                  .get(session -> "/v1/videos/" + videoId() + "/views")
                  .check(status().is(200)));

  public ViewsSimulation() {
    double rate = Double.parseDouble(System.getProperty("rate"));
    long seconds = Long.parseLong(System.getProperty("seconds"));
    setUp(viewers.injectOpen(constantUsersPerSec(rate).during(seconds)))
        .protocols(api)
        .assertions(
            global().failedRequests().count().is(0L), global().responseTime().percentile(99.0).lt(100));
  }

  /** Return the known id, or sometimes one that nobody knows. */
  private static String videoId() {
    ThreadLocalRandom chance = ThreadLocalRandom.current();
    return chance.nextDouble() < UNKNOWN_SHARE ? "nobody-" + chance.nextInt(10_000) : KNOWN;
  }
}
