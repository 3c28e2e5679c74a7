# Answers every request with its first argument.
use strict;
use warnings;
use IO::Socket::INET;

my $listener = IO::Socket::INET->new(LocalPort => 8000, Listen => 16, ReuseAddr => 1) or die "listen: $!";
$SIG{TERM} = sub { exit 0 };
while (my $client = $listener->accept) {
    my $request = <$client> // '';
    while (my $line = <$client>) { last if $line =~ /^\s*$/ }
    print $client "HTTP/1.0 200 OK\r\n\r\n$ARGV[0]\n";
    close $client;
}
