<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

use Bulkhead\Exception\BridgeException;
use Bulkhead\RenderStatus;

/**
 * Addresses under which a drawing is seen. Each asks first whether who calls may see it, and then sends the browser on
 * to the platform by a link that is signed for this drawing and soon expires: no picture goes through PHP.
 *
 * They change nothing, so they need no nonce; a link in an old copy of a page goes on working.
 */
final class Endpoints
{
    public const PREVIEW = 'bulkhead_preview';
    public const VIEW = 'bulkhead_view';
    public const ORIGINAL = 'bulkhead_original';

    public const REST = 'bulkhead/v1';

    /** Seconds after which a page that waits for a drawing looks again. */
    private const LOOK_AGAIN = 2;

    public function __construct(private readonly Platform $platform)
    {
    }

    public function register(): void
    {
        $actions = [self::PREVIEW => $this->preview(...), self::VIEW => $this->view(...), self::ORIGINAL => $this->original(...)];
        foreach ($actions as $action => $answer) {
            add_action("wp_ajax_$action", $answer);
            add_action("wp_ajax_nopriv_$action", $answer);
        }
        add_action('rest_api_init', $this->route(...));
    }

    private function route(): void
    {
        register_rest_route(self::REST, '/drawings/(?P<id>\d+)', [
            'methods' => 'GET',
            'callback' => $this->status(...),
            'permission_callback' => static fn ($request): bool => (bool) Drawing::of((int) $request['id'])?->isOpenTo(),
        ]);
    }

    private function status(\WP_REST_Request $request): \WP_REST_Response|\WP_Error
    {
        $drawing = Drawing::of((int) $request['id']);
        try {
            $now = $this->look($drawing);
        } catch (BridgeException $error) {
            error_log("Bulkhead: {$error->getMessage()}");

            return new \WP_Error('bulkhead_away', 'The drawing cannot be looked up at the moment.', ['status' => 503]);
        }
        $fields = ['state' => $now->state, 'percent' => $now->percent, 'stage' => $now->stage, 'error' => $now->error];

        return new \WP_REST_Response($fields, 200, ['Cache-Control' => 'no-store']);
    }

    private function preview(): never
    {
        $now = $this->seen($this->asked());
        if (!$now->succeeded()) {
            $this->say(404, "There is no picture: the drawing is $now->state.");
        }
        $this->goTo($this->platform->preview($now));
    }

    private function view(): never
    {
        $now = $this->seen($this->asked());
        if ($now->succeeded()) {
            $this->goTo($this->platform->viewer($now));
        }
        if ($now->isFinal()) {
            $this->say(200, $now->error ?? "The drawing was $now->state.");
        }
        header('Refresh: ' . self::LOOK_AGAIN);
        $this->say(200, "The drawing is being made: $now->state, $now->percent %.");
    }

    private function original(): never
    {
        $drawing = $this->asked();
        current_user_can('edit_post', $drawing->id) || $this->say(403, 'You may not have the original of this drawing.');
        $path = $this->platform->original($drawing->job) ?? $this->say(404, 'The original lies with Bulkhead, not on this server.');
        while (ob_get_level() > 0) {
            ob_end_clean();
        }
        header('Content-Type: application/octet-stream');
        header('Content-Disposition: attachment; filename*=UTF-8\'\'' . rawurlencode($drawing->filename));
        header('Content-Length: ' . filesize($path));
        header('X-Content-Type-Options: nosniff');
        header("Content-Security-Policy: default-src 'none'; sandbox");
        readfile($path);
        exit;
    }

    /** The drawing that is asked for, if who asks may see it; ends with an answer if not. */
    private function asked(): Drawing
    {
        header('Cache-Control: no-store, private');
        header('Referrer-Policy: no-referrer');     // a signed link is a key
        $drawing = Drawing::of(absint($_GET['drawing'] ?? 0)) ?? $this->say(404, 'There is no such drawing.');

        return $drawing->isOpenTo(absint($_GET['post'] ?? 0)) ? $drawing : $this->say(403, 'You may not see this drawing.');
    }

    private function seen(Drawing $drawing): RenderStatus
    {
        try {
            return $this->look($drawing);
        } catch (BridgeException $error) {
            error_log("Bulkhead: {$error->getMessage()}");
            $this->say(503, 'The drawing cannot be looked up at the moment: try again later.');
        }
    }

    private function look(Drawing $drawing): RenderStatus
    {
        $gone = new RenderStatus($drawing->job, 'gone', error: 'Bulkhead does not have this drawing any more: upload it again.');

        return $this->platform->status($drawing->job, $drawing->publishedAt) ?? $gone;
    }

    private function goTo(string $url): never
    {
        header("Location: $url", true, 302);
        exit;
    }

    private function say(int $status, string $words): never
    {
        status_header($status);
        header('Content-Type: text/html; charset=utf-8');
        header("Content-Security-Policy: default-src 'none'; frame-ancestors 'self'");
        echo "<!doctype html>\n<title>Drawing</title>\n<p>", esc_html($words), "</p>\n";
        exit;
    }
}
