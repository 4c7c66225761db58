<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

/** An attachment whose file lies with Bulkhead: what WordPress has of it is its name and the id of its job. */
final class Drawing
{
    public const JOB = '_bulkhead_job';
    private const PUBLISHED = '_bulkhead_published';

    private function __construct(
        public readonly int $id,
        public readonly string $job,
        public readonly float $publishedAt,
        public readonly string $filename,
    ) {
    }

    /** The drawing of an attachment's id; null for any other attachment, and for none. */
    public static function of(int $attachment): ?self
    {
        $job = $attachment > 0 ? get_post_meta($attachment, self::JOB, true) : '';
        if (!is_string($job) || $job === '' || get_post_type($attachment) !== 'attachment') {
            return null;
        }
        $published = (float) get_post_meta($attachment, self::PUBLISHED, true);

        return new self($attachment, $job, $published, wp_basename((string) get_attached_file($attachment, true)));
    }

    public static function remember(int $attachment, string $job, float $publishedAt): void
    {
        add_post_meta($attachment, self::JOB, $job, true);
        add_post_meta($attachment, self::PUBLISHED, $publishedAt, true);
    }

    /** Whether who asks may see it: who may edit it, or who reads a post that shows it. */
    public function isOpenTo(int $post = 0): bool
    {
        return current_user_can('edit_post', $this->id) || ($post > 0 && $this->isShownBy($post));
    }

    /** Whether a post that who asks may read shows it, and its author has a right to do so. */
    private function isShownBy(int $id): bool
    {
        $post = get_post($id);
        if ($post === null || !Mentions::has($post->post_content, $this->id)) {
            return false;
        }
        $readable = is_post_publicly_viewable($post) || current_user_can('read_post', $id);

        return $readable && !post_password_required($post) && user_can((int) $post->post_author, 'edit_post', $this->id);
    }

    /** Address of an endpoint for this drawing; `$post` is the one that shows it. */
    public function url(string $action, int $post = 0): string
    {
        $query = ['action' => $action, 'drawing' => $this->id] + ($post > 0 ? ['post' => $post] : []);

        return admin_url('admin-ajax.php?' . http_build_query($query));
    }
}
