// A plain forwarder on Pion: one publisher of VP8, its packets written to a static track that every subscriber has.
// Speaks the JSON lines of benches/README.md ("Another peer"). Built by the bench from Debian's Go packages.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/pion/dtls/v2"
	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v3"
)

type ask struct {
	Do, Ufrag, Password, Fingerprint, Address string
	Ssrc                                      uint32
}

const transportSequence = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

var capability = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000, RTCPFeedback: []webrtc.RTCPFeedback{
	{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "transport-cc"}}}

func must(err error) {
	if err != nil {
		out, _ := json.Marshal(map[string]string{"error": err.Error()})
		fmt.Println(string(out))
		os.Exit(1)
	}
}

func newAPI() *webrtc.API {
	media, registry, setting := &webrtc.MediaEngine{}, &interceptor.Registry{}, webrtc.SettingEngine{}
	must(media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: capability, PayloadType: 96}, webrtc.RTPCodecTypeVideo))
	// NACK both ways, reports, transport-wide feedback to the publisher: what Pion's users switch on
	must(webrtc.RegisterDefaultInterceptors(media, registry))
	setting.SetLite(true)
	setting.SetIncludeLoopbackCandidate(true)
	setting.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	setting.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	must(setting.SetAnsweringDTLSRole(webrtc.DTLSRoleServer))
	// this Pion knows no AEAD_AES_256_GCM
	setting.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM)
	return webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(setting))
}

// sdp describes the client.
func (a ask) sdp(mid, direction string) string {
	at := strings.LastIndex(a.Address, ":")
	lines := []string{"v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE " + mid, "m=video 9 UDP/TLS/RTP/SAVPF 96",
		"c=IN IP4 127.0.0.1", "a=mid:" + mid, "a=" + direction, "a=rtcp-mux", "a=ice-ufrag:" + a.Ufrag, "a=ice-pwd:" + a.Password,
		"a=fingerprint:sha-256 " + a.Fingerprint, "a=setup:active", "a=rtpmap:96 VP8/90000", "a=rtcp-fb:96 nack", "a=rtcp-fb:96 nack pli",
		"a=rtcp-fb:96 transport-cc", "a=extmap:3 " + transportSequence,
		"a=candidate:1 1 udp 2130706431 " + a.Address[:at] + " " + a.Address[at+1:] + " typ host", "a=end-of-candidates"}
	if direction == "sendonly" {
		lines = append(lines, "a=msid:s0 s0-v", "a=ssrc:"+strconv.Itoa(int(a.Ssrc))+" cname:s0")
	}
	return strings.Join(lines, "\r\n") + "\r\n"
}

// tell answers with our end of the transport, from our description.
func tell(text string) {
	find := func(pattern string) []string {
		found := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if found == nil {
			must(fmt.Errorf("no %s in %s", pattern, text))
		}
		return found[1:]
	}
	candidate := find(`a=candidate:\S+ \d+ udp \d+ (\S+) (\d+) typ host`)
	id := 0
	if found := regexp.MustCompile(`a=extmap:(\d+)\S* ` + regexp.QuoteMeta(transportSequence)).FindStringSubmatch(text); found != nil {
		id, _ = strconv.Atoi(found[1])
	}
	out, _ := json.Marshal(map[string]interface{}{
		"ufrag": find(`a=ice-ufrag:(\S+)`)[0], "password": find(`a=ice-pwd:(\S+)`)[0],
		"fingerprint": find(`a=fingerprint:sha-256 (\S+)`)[0], "address": candidate[0] + ":" + candidate[1], "transport_sequence_id": id})
	fmt.Println(string(out))
}

func main() {
	track, err := webrtc.NewTrackLocalStaticRTP(capability, "v", "s0")
	must(err)
	fmt.Printf("{\"name\":\"Pion (Debian)\",\"pid\":%d}\n", os.Getpid())
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var a ask
		must(json.Unmarshal(lines.Bytes(), &a))
		peer, err := newAPI().NewPeerConnection(webrtc.Configuration{})
		must(err)
		gathered := webrtc.GatheringCompletePromise(peer)
		if a.Do == "publisher" {
			peer.OnTrack(func(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
				for {
					packet, _, err := remote.ReadRTP()
					if err != nil {
						return
					}
					_ = track.WriteRTP(packet)
				}
			})
			must(peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: a.sdp("0", "sendonly")}))
			answer, err := peer.CreateAnswer(nil)
			must(err)
			must(peer.SetLocalDescription(answer))
			<-gathered
		} else {
			sender, err := peer.AddTrack(track)
			must(err)
			go func() {
				buffer := make([]byte, 1500)
				for {
					if _, _, err := sender.Read(buffer); err != nil {
						return
					}
				}
			}()
			offer, err := peer.CreateOffer(nil)
			must(err)
			must(peer.SetLocalDescription(offer))
			<-gathered
			must(peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: a.sdp("0", "recvonly")}))
		}
		tell(peer.LocalDescription().SDP)
	}
}
